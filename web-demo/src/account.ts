import { type Credentials, RequestFailed, explain, readJson } from './request.js'
import { keepToken, keptToken } from './token.js'

/** Who the server takes this page for, as it says. */
export interface Standing {
  /** Null where nobody has to sign in, or nobody has. */
  id: string | null
  name: string | null
  /** What may be done with all documents at once. */
  access: 'none' | 'read' | 'write' | 'admin'
  /** Patterns of the names of documents that may be written; null where the server says it of each alone. */
  writable: string[] | null
  expires_ms: number | null
  /** Why the page has to sign in; null where it has not. */
  refused: string | null
}

/** How long a token that has ended by the clock here, and not by the server's, is not asked about again, milliseconds. */
const DISPUTE_MS = 2_000
/** How long somebody waits to hear what they may do with one document, milliseconds. */
const PATIENCE_MS = 4_000
/** The longest time that a timer can be set to, milliseconds. */
const TIMER_MOST_MS = 2 ** 31 - 1

/** Who uses the page: by the token it has, or as anybody where the server asks for none. */
export class Account implements Credentials {
  readonly #onchange: (standing: Standing) => void
  #standing: Standing | null = null
  /** The question that is on its way, so that there is one at a time. */
  #asking: Promise<Standing> | null = null
  /** Those who wait until somebody signs in. */
  #waiting: (() => void)[] = []
  #lapse: ReturnType<typeof setTimeout> | undefined

  /** @param onchange told who the page is for, each time the server was asked */
  constructor(onchange: (standing: Standing) => void) {
    this.#onchange = onchange
  }

  /** Who it is, as far as is known. */
  get standing(): Standing | null {
    return this.#standing
  }

  /** Whether it has a token, good or not. */
  get hasToken(): boolean {
    return keptToken() !== null
  }

  /**
   * Gives the token for requests; null where none is needed.
   *
   * @throws RequestFailed where somebody has to sign in first, or where the server does not say
   */
  async getBearer(): Promise<string | null> {
    const standing = isGood(this.#standing) ? this.#standing : await this.ask()
    if (standing.refused !== null) throw new RequestFailed(401, explain(401))
    return keptToken()
  }

  /**
   * Gives the token for a connection, whose last one may have been refused. Waits for one where there is none.
   *
   * @throws RequestFailed where the server does not say whether it is good
   */
  async getToken(): Promise<string> {
    while ((await this.ask()).refused !== null) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    return keptToken() ?? ''
  }

  /**
   * Asks the server who this is. It is not asked again about what it has refused.
   *
   * @throws RequestFailed where it does not say
   */
  ask(): Promise<Standing> {
    if (this.#standing !== null && this.#standing.refused !== null) return Promise.resolve(this.#standing)
    this.#asking ??= this.#ask().finally(() => (this.#asking = null))
    return this.#asking
  }

  /**
   * Asks what may be done with one document, stored or not.
   *
   * @throws RequestFailed where the server does not say, or not in time
   */
  async accessTo(name: string): Promise<Standing['access']> {
    return (await whoIs(keptToken(), name)).access
  }

  /** The server has refused what was thought to be good. */
  doubt(): void {
    // Where it cannot be asked now, the next request asks.
    this.ask().catch(() => undefined)
  }

  /**
   * Signs in with a token, which is kept where the server takes it.
   *
   * @returns why it does not; null where it does
   * @throws RequestFailed where it does not say
   */
  async signIn(token: string): Promise<string | null> {
    const standing = await whoIs(token)
    if (standing.refused !== null) return standing.refused
    keepToken(token)
    this.#take(standing)
    return null
  }

  /** Lets go of the token. */
  signOut(): void {
    keepToken(null)
    this.#take({ id: null, name: null, access: 'none', writable: [], expires_ms: null, refused: '' })
  }

  async #ask(): Promise<Standing> {
    const token = keptToken()
    const standing = await whoIs(token)
    // Somebody may have signed in or out meanwhile: then this is about another token.
    if (token !== keptToken() && this.#standing) return this.#standing
    this.#take(standing)
    return standing
  }

  #take(standing: Standing): void {
    this.#standing = standing
    clearTimeout(this.#lapse)
    const { expires_ms, refused } = standing
    if (expires_ms !== null) {
      const leftMs = Math.max(expires_ms - Date.now(), DISPUTE_MS)
      this.#lapse = setTimeout(() => this.doubt(), Math.min(leftMs, TIMER_MOST_MS))
    }
    this.#onchange(standing)
    if (refused === null) for (const go of this.#waiting.splice(0)) go()
  }
}

/** Whether who it is was said, and holds. */
function isGood(standing: Standing | null): standing is Standing {
  return standing !== null && (standing.expires_ms === null || Date.now() < standing.expires_ms)
}

/** Asks the server whom a token stands for, and what they may do with a document or with all. */
async function whoIs(token: string | null, name?: string): Promise<Standing> {
  const headers: Record<string, string> = { accept: 'application/json' }
  if (token !== null) headers['authorization'] = `Bearer ${token}`
  const address = new URL('api/identity', document.baseURI)
  if (name !== undefined) address.searchParams.set('document', name)
  const signal = name === undefined ? null : AbortSignal.timeout(PATIENCE_MS)
  let response: Response
  try {
    response = await fetch(address, { headers, cache: 'no-store', signal })
  } catch {
    throw new RequestFailed(0, explain(0))
  }
  if (!response.ok) throw new RequestFailed(response.status, explain(response.status))
  return readJson<Standing>(response)
}
