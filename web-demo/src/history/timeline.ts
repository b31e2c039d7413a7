import { RequestFailed } from '../request.js'
import { type Change, type Entry, type Row, grow, rowsOf } from './changes.js'
import { Happenings } from './happenings.js'
import type { Past } from './past.js'
import type { Version } from './versions.js'

/** Something that happened in the document, as the server tells it. */
type Happening =
  | { type: 'change'; payload: Entry }
  | { type: 'version'; payload: Version }
  | { type: 'presence' | 'message' }

/** The history of a document, as far as it is loaded. It goes on while it is followed. */
export class Timeline {
  readonly #past: Past
  readonly #onchange: () => void
  #changes: Change[] = []
  #versions: Version[] = []
  #next: number | null = null
  #newest = 0
  /** Seq of the newest change that the server has told of. */
  #told = 0
  #events: Happenings | null = null
  #isLoaded = false
  #isLoading = false
  #failure: string | null = null

  /** @param onchange called when there is something else to show */
  constructor(past: Past, onchange: () => void) {
    this.#past = past
    this.#onchange = onchange
  }

  get rows(): Row[] {
    return rowsOf(this.#changes, this.#versions, this.#next === null)
  }

  /** The newest point that is known. */
  get newest(): number {
    return this.#newest
  }

  /** Whether there is anything to show, if only that there is nothing. */
  get isLoaded(): boolean {
    return this.#isLoaded
  }

  get isLoading(): boolean {
    return this.#isLoading
  }

  /** Whether there are older changes to be loaded. */
  get hasOlder(): boolean {
    return this.#next !== null
  }

  /** What went wrong last, for people. */
  get failure(): string | null {
    return this.#failure
  }

  /** Loads the newest changes, and goes on with what happens. */
  follow(): void {
    this.rest()
    this.#events = new Happenings(this.#past.events, ({ data, id }) =>
      this.#hear(JSON.parse(data) as Happening, Number(id)),
    )
    void this.load()
  }

  /** Follows no longer. */
  rest(): void {
    this.#events?.close()
    this.#events = null
  }

  /** Loads the newest changes, and the versions, anew. */
  async load(): Promise<void> {
    await this.#attempt(async () => {
      // What is told while the answers are on their way may not be in them: then once more.
      do {
        const [page, versions] = await Promise.all([this.#past.changes(null), this.#past.versions()])
        this.#changes = page.changes
        this.#versions = versions
        this.#next = page.next
        this.#newest = Math.max(0, ...page.changes.map(({ last_seq }) => last_seq))
      } while (this.#told > this.#newest && this.#newest > 0)
      this.#isLoaded = true
    })
  }

  /** Loads the page before the oldest change that is loaded. */
  async loadOlder(): Promise<void> {
    const before = this.#next
    if (before === null) return
    await this.#attempt(async () => {
      const page = await this.#past.changes(before)
      if (this.#next !== before) return
      this.#changes = [...this.#changes, ...page.changes]
      this.#next = page.next
    })
  }

  /** A version was named here. */
  add(version: Version): void {
    this.#versions = [...this.#versions.filter(({ name }) => name !== version.name), version]
    this.#onchange()
  }

  /** The name of a version was forgotten here. */
  remove(name: string): void {
    this.#versions = this.#versions.filter((version) => version.name !== name)
    this.#onchange()
  }

  #hear(happening: Happening, seq: number): void {
    this.#told = seq
    if (happening.type === 'version') return this.add(happening.payload)
    if (this.#isLoading || seq <= this.#newest) return
    if (happening.type === 'change' && seq === this.#newest + 1) {
      this.#changes = grow(this.#changes, happening.payload)
      this.#newest = seq
      this.#onchange()
    } else if (seq > 0) {
      void this.load() // Something was missed.
    }
  }

  async #attempt(load: () => Promise<void>): Promise<void> {
    if (this.#isLoading) return
    this.#isLoading = true
    this.#onchange()
    try {
      await load()
      this.#failure = null
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
      this.#failure = error.message
    } finally {
      this.#isLoading = false
      this.#onchange()
    }
  }
}
