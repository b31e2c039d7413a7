import { type Change, PAUSE_SECONDS, type Version } from './changes.js'
import type { Difference, Hunk } from './hunks.js'
import { type AttributedRun, type Run, readRuns } from './runs.js'

/** How many changes a page has. */
const PAGE = 200

/** A request that came to nothing. Its message is for people. */
export class RequestFailed extends Error {
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** A page of changes, the newest first. */
export interface ChangePage {
  changes: Change[]
  next: number | null
}

/** What a document was, asked of the server: its history, its versions, and the way back. */
export class Past {
  readonly #document: string
  readonly #root: string
  readonly #getName: () => string

  /**
   * @param root the root type that holds the text
   * @param getName what whoever restores and names is called
   */
  constructor(document: string, root: string, getName: () => string) {
    this.#document = document
    this.#root = root
    this.#getName = getName
  }

  /** What whoever restores and names here is called. */
  get writer(): string {
    return this.#getName()
  }

  /** Where the server tells what happens in the document. */
  get events(): URL {
    return this.#address('events')
  }

  /** Where the text can be downloaded. */
  get download(): URL {
    return this.#address('content', { format: 'text', root: this.#root })
  }

  /** Changes, the newest first; none where the document has none yet. */
  async changes(before: number | null): Promise<ChangePage> {
    const query: Record<string, string> = { limit: String(PAGE), pause: String(PAUSE_SECONDS) }
    if (before !== null) query['before'] = String(before)
    return orWhereThereIsNone(this.#get('history', query), { changes: [], next: null })
  }

  async versions(): Promise<Version[]> {
    const none = { versions: [] as Version[] }
    return (await orWhereThereIsNone(this.#get<typeof none>('versions'), none)).versions
  }

  /** The text as it was. */
  async text(seq: number): Promise<string> {
    const query = { format: 'text', root: this.#root, at: String(seq) }
    const text = this.#ask('content', { query }).then((response) => response.text())
    return orWhereThereIsNone(text, '')
  }

  /** What distinguishes the text at a point from what it was before. */
  async hunks(from: number, to: number): Promise<Hunk[]> {
    const query = { root: this.#root, from: String(from), to: String(to) }
    const none = { differences: [] as Difference[] }
    const { differences } = await orWhereThereIsNone(this.#get<typeof none>('diff', query), none)
    return differences.find(({ root }) => root === this.#root)?.hunks ?? []
  }

  /** Who wrote what, as far as it is stored. */
  async attribution(): Promise<{ text: string; runs: Run[] }> {
    const query = { root: this.#root, pause: String(PAUSE_SECONDS) }
    const none = { texts: [] as { path: unknown[]; runs: AttributedRun[] }[] }
    const { texts } = await orWhereThereIsNone(this.#get<typeof none>('attribution', query), none)
    return readRuns(texts.find(({ path }) => path.length === 1)?.runs ?? [])
  }

  /** Takes the document back to a point, for everybody. */
  async restore(seq: number): Promise<{ changed: boolean }> {
    const response = await this.#ask('restore', { method: 'POST', body: { to: seq } })
    return (await response.json()) as { changed: boolean }
  }

  /** Names a point; the newest one where none is given. */
  async nameVersion(name: string, seq: number | null): Promise<Version> {
    const body = seq === null ? { name } : { name, at: seq }
    return (await (await this.#ask('versions', { method: 'POST', body })).json()) as Version
  }

  /** Forgets the name of a version. */
  async forgetVersion(version: string): Promise<void> {
    await this.#ask(`versions/${encodeURIComponent(version)}`, { method: 'DELETE' })
  }

  /** Puts the document into the trash. */
  async delete(): Promise<void> {
    await this.#ask('', { method: 'DELETE' })
  }

  /** Brings it back out of the trash. */
  async undelete(): Promise<void> {
    await this.#ask('undelete', { method: 'POST' })
  }

  async #get<Answer>(path: string, query: Record<string, string> = {}): Promise<Answer> {
    return (await (await this.#ask(path, { query })).json()) as Answer
  }

  #address(path: string, query: Record<string, string> = {}): URL {
    const document = `api/docs/${encodeURIComponent(this.#document)}`
    const address = new URL(path === '' ? document : `${document}/${path}`, window.document.baseURI)
    for (const [name, value] of Object.entries(query)) address.searchParams.set(name, value)
    return address
  }

  async #ask(
    path: string,
    { method = 'GET', query = {}, body }: {
      method?: string
      query?: Record<string, string>
      body?: unknown
    },
  ): Promise<Response> {
    // Who changes something says who they are, as on the connection.
    const name = this.writer
    const address = this.#address(path, method === 'GET' || !name ? query : { ...query, name })
    const init: RequestInit = { method, headers: { accept: 'application/json' } }
    if (body !== undefined) {
      init.headers = { ...init.headers, 'content-type': 'application/json' }
      init.body = JSON.stringify(body)
    }
    let response: Response
    try {
      response = await fetch(address, init)
    } catch {
      throw new RequestFailed(0, explain(0))
    }
    if (!response.ok) throw new RequestFailed(response.status, explain(response.status))
    return response
  }
}

/** What a status of a refusal means, for people. */
export function explain(status: number): string {
  switch (status) {
    case 0:
      return 'The server is out of reach.'
    case 401:
      return 'You need to sign in for this.'
    case 403:
      return 'You may not do this here.'
    case 404:
      return 'The history does not reach back so far.'
    case 409:
      return 'The server cannot do this to the document as it is now.'
    case 410:
      return 'The document was deleted.'
    default:
      return status < 500 ? 'The server refused this.' : 'The server cannot do this now. Try again later.'
  }
}

/** A document that nobody has written in yet has no history, and that is no failure. */
async function orWhereThereIsNone<Answer>(answer: Promise<Answer>, none: Answer): Promise<Answer> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof RequestFailed && error.status === 404) return none
    throw error
  }
}
