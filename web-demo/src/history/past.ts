import { type Ask, type Page, RequestFailed, type Summary, ask, askJson, pathOf, readJson, readText } from '../request.js'
import { type Change, PAUSE_SECONDS } from './changes.js'
import type { Difference, Hunk } from './hunks.js'
import { type AttributedRun, type Run, readRuns } from './runs.js'
import type { Version } from './versions.js'

/** How many changes a page has. */
const PAGE = 200

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
  /** Whether the server is known to have stored something of it. */
  #isStored = false

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

  /** The path below `api/docs` where the server tells what happens in the document. */
  get events(): string {
    return this.#path('events')
  }

  /**
   * Whether the server has stored anything of the document.
   *
   * @throws RequestFailed where it does not say
   */
  async isStored(): Promise<boolean> {
    if (this.#isStored) return true
    // The list says so without an error: what a new document lacks is none, and browsers log those.
    const query = { prefix: this.#document, limit: '1' }
    const { documents } = await askJson<Page<Summary>>('', query)
    return (this.#isStored = documents[0]?.name === this.#document)
  }

  /** Changes, the newest first; none where the document has none yet. */
  async changes(before: number | null): Promise<ChangePage> {
    const query: Record<string, string> = { limit: String(PAGE), pause: String(PAUSE_SECONDS) }
    if (before !== null) query['before'] = String(before)
    return this.#get('history', query, { changes: [], next: null })
  }

  async versions(): Promise<Version[]> {
    const none = { versions: [] as Version[] }
    return (await this.#get('versions', {}, none)).versions
  }

  /** The text as it was. */
  async text(seq: number): Promise<string> {
    const query = { format: 'text', root: this.#root, at: String(seq) }
    const answer = async (): Promise<string> => readText(await ask(this.#path('content'), { query }))
    return this.#whereStored(answer, '')
  }

  /** What distinguishes the text at a point from what it was before. */
  async hunks(from: number, to: number): Promise<Hunk[]> {
    const query = { root: this.#root, from: String(from), to: String(to) }
    const { differences } = await this.#get('diff', query, { differences: [] as Difference[] })
    return differences.find(({ root }) => root === this.#root)?.hunks ?? []
  }

  /** Who wrote what, as far as it is stored. */
  async attribution(): Promise<{ text: string; runs: Run[] }> {
    const query = { root: this.#root, pause: String(PAUSE_SECONDS) }
    const none = { texts: [] as { path: unknown[]; runs: AttributedRun[] }[] }
    const { texts } = await this.#get('attribution', query, none)
    return readRuns(texts.find(({ path }) => path.length === 1)?.runs ?? [])
  }

  /** Takes the document back to a point, for everybody. */
  async restore(seq: number): Promise<{ changed: boolean }> {
    const response = await this.#change('restore', { method: 'POST', body: { to: seq } })
    return readJson<{ changed: boolean }>(response)
  }

  /** Names a point; the newest one where none is given. */
  async nameVersion(name: string, seq: number | null): Promise<Version> {
    const body = seq === null ? { name } : { name, at: seq }
    return readJson<Version>(await this.#change('versions', { method: 'POST', body }))
  }

  /** Forgets the name of a version. */
  async forgetVersion(version: string): Promise<void> {
    await this.#change(`versions/${encodeURIComponent(version)}`, { method: 'DELETE' })
  }

  #path(path: string): string {
    return `${pathOf(this.#document)}/${path}`
  }

  async #get<Answer>(path: string, query: Record<string, string>, none: Answer): Promise<Answer> {
    return this.#whereStored(() => askJson<Answer>(this.#path(path), query), none)
  }

  /** A document that nobody has written in yet has no history, and that is no failure. */
  async #whereStored<Answer>(answer: () => Promise<Answer>, none: Answer): Promise<Answer> {
    if (!(await this.isStored())) return none
    try {
      return await answer()
    } catch (error) {
      if (error instanceof RequestFailed && error.status === 404) return none
      throw error
    }
  }

  /** Who changes something says who they are, as on the connection. */
  async #change(path: string, wish: Ask): Promise<Response> {
    const name = this.writer
    return ask(this.#path(path), name ? { ...wish, query: { name } } : wish)
  }
}
