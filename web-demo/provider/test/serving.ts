import { type ChildProcess, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const COLLAB =
  process.env['COLLAB_COMMAND'] ?? fileURLToPath(new URL('../../../.venv/bin/collab', import.meta.url))
/** What tokens are signed with. */
const SECRET = 'a secret for tests that is long enough'

/** `collab serve` on a store of its own; it can be killed and started again on the same port. */
export class Server {
  port = 0
  readonly #folder: string
  readonly #options: string[]
  #process: ChildProcess | null = null

  private constructor(folder: string, options: string[]) {
    this.#folder = folder
    this.#options = options
  }

  /** Starts one, with more of its command line. */
  static async start(...options: string[]): Promise<Server> {
    const server = new Server(await mkdtemp(join(tmpdir(), 'collab-provider-')), options)
    await server.run()
    return server
  }

  /** Starts one that lets in who brings a token. */
  static startGuarded(): Promise<Server> {
    return Server.start('--jwt-secret', SECRET)
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Runs it, where it was before. */
  async run(): Promise<void> {
    const store = `sqlite:///${join(this.#folder, 'collab.db')}`
    const bind = `127.0.0.1:${this.port}`
    const process_ = spawn(COLLAB, ['serve', '--store', store, '--bind', bind, ...this.#options], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    this.#process = process_
    for await (const line of createInterface({ input: process_.stdout })) {
      const port = /^collab: listening on http:\S+:(\d+)$/.exec(line)?.[1]
      if (port === undefined) throw new Error(`expected the address of a server, got "${line}"`)
      this.port = Number(port)
      return
    }
    throw new Error('expected a server that listens, got its end')
  }

  /** Ends it with SIGKILL: it gets to do nothing any more. */
  async kill(): Promise<void> {
    const process_ = this.#process
    this.#process = null
    if (!process_ || process_.exitCode !== null) return
    const ended = new Promise((resolve) => process_.once('exit', resolve))
    process_.kill('SIGKILL')
    await ended
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/**
 * A token as `collab token` makes them.
 *
 * @param documents what may be done, by pattern of document names
 * @param seconds how long it is good for
 */
export function tokenFor(user: string, documents: Record<string, 'read' | 'write'>, seconds = 600): string {
  const now = Math.floor(Date.now() / 1000)
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { sub: user, iat: now, exp: now + seconds, collab: { docs: documents } }
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`
}
