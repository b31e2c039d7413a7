/** A request that came to nothing. Its message is for people. */
export class RequestFailed extends Error {
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** One document as the server lists it. */
export interface Summary {
  name: string
  updated_ms: number
  connections: number
  /** What may be done with it. */
  access: 'read' | 'write' | 'admin'
}

/** A page of the server's list of documents. */
export interface Page<Entry> {
  documents: Entry[]
  next: string | null
}

export interface Ask {
  method?: string
  query?: Record<string, string>
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
}

/** What lets requests in. */
export interface Credentials {
  /** Gives the token that a request brings; null where it needs none. */
  getBearer(): Promise<string | null>
  /** The server has refused it. */
  doubt(): void
}

let credentials: Credentials | null = null

/** Has every request from now on bring a token. */
export function bring(brought: Credentials): void {
  credentials = brought
}

/** Where something of the server's API is, by its path below `api/docs`. */
export function addressOf(path: string, query: Record<string, string> = {}): URL {
  const address = new URL(`api/docs${path}`, document.baseURI)
  for (const [name, value] of Object.entries(query)) address.searchParams.set(name, value)
  return address
}

/** The path of a document below `api/docs`. */
export function pathOf(name: string): string {
  return `/${encodeURIComponent(name)}`
}

/**
 * Asks the server, and waits for an answer that is none of its refusals.
 *
 * @throws RequestFailed where there is none
 */
export async function ask(
  path: string,
  { method = 'GET', query = {}, body, headers = {}, signal }: Ask = {},
): Promise<Response> {
  const said: Record<string, string> = { accept: 'application/json', ...headers }
  const init: RequestInit = { method, headers: said, signal: signal ?? null }
  if (body !== undefined) {
    said['content-type'] = 'application/json'
    init.body = JSON.stringify(body)
  }
  const bearer = (await credentials?.getBearer()) ?? null
  if (bearer !== null) said['authorization'] = `Bearer ${bearer}`
  let response: Response
  try {
    response = await fetch(addressOf(path, query), init)
  } catch {
    throw new RequestFailed(0, explain(0))
  }
  if (response.status === 401) credentials?.doubt()
  if (!response.ok) throw new RequestFailed(response.status, explain(response.status))
  return response
}

/** Asks for JSON: see `ask`. */
export async function askJson<Answer>(path: string, query: Record<string, string> = {}): Promise<Answer> {
  return readJson<Answer>(await ask(path, { query }))
}

/**
 * Reads an answer in JSON.
 *
 * @throws RequestFailed where it breaks off
 */
export async function readJson<Answer>(response: Response): Promise<Answer> {
  return JSON.parse(await readText(response)) as Answer
}

/**
 * Reads an answer as text.
 *
 * @throws RequestFailed where it breaks off
 */
export async function readText(response: Response): Promise<string> {
  try {
    return await response.text()
  } catch {
    throw new RequestFailed(0, explain(0))
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
