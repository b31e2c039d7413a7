import { documentAddress } from './address.js'
import { unsentDocuments } from './device-copies.js'
import { recentDocuments } from './device-copy.js'
import { DocumentSearch, finds } from './document-search.js'
import { byId, element, icon } from './elements.js'
import { type Page, RequestFailed, type Summary, ask, readJson } from './request.js'
import { ago } from './times.js'

/** How often the server is asked, where nothing is known to have changed, milliseconds. */
const REFRESH_MS = 10_000
/** How long it is not asked again where something has changed: somebody types, milliseconds. */
const REST_MS = 3_000
/** How many documents are shown first, and how many more each time. */
const PAGE = 100

/** The list of documents beside the text. */
export class DocumentList {
  readonly #list = byId('document-list')
  readonly #more = byId<HTMLButtonElement>('more-documents')
  readonly #note = byId('document-list-note')
  readonly #open: (name: string) => void
  readonly #delete: (name: string) => void
  readonly #onreach: () => void
  readonly #search = new DocumentSearch(this.#list, () => this.#narrow(), () => void this.refresh())
  /** What may be done with the documents that were listed, as was said last. */
  readonly #accesses = new Map<string, Summary['access']>()
  #summaries: Summary[] = []
  #next: string | null = null
  /** How many of the server's documents are shown at most. */
  #most = PAGE
  /** What was searched for when the server was asked. */
  #searched = ''
  #asking = new AbortController()
  #current: string | null = null
  #here = 0
  /** Whether the server answered last; null where nobody can say yet. */
  #reached: boolean | null = null
  #loading = false
  /** Whether something may have changed since the server was asked. */
  #stale = false
  #resting: ReturnType<typeof setTimeout> | undefined
  /** Whether something was stored since it was last asked for that. */
  #isDue = false

  /**
   * @param open opens a document
   * @param remove deletes one
   * @param onreach called each time the server was asked and has answered
   */
  constructor(open: (name: string) => void, remove: (name: string) => void, onreach: () => void) {
    this.#open = open
    this.#delete = remove
    this.#onreach = onreach
    this.#more.addEventListener('click', () => {
      this.#most += PAGE
      void this.refresh()
    })
    setInterval(() => document.visibilityState === 'visible' && void this.refresh(), REFRESH_MS)
    document.addEventListener('visibilitychange', () => void this.refresh())
    for (const event of ['online', 'offline']) addEventListener(event, () => void this.refresh())
    this.#draw()
    void this.refresh()
  }

  /** Marks the document that is open. */
  set current(name: string | null) {
    if (name === this.#current) return
    this.#current = name
    if (name !== null && !finds(this.#search.text, name)) this.#search.clear()
    this.#draw()
  }

  /** What may be done with a document; null where the list never said. */
  accessTo(name: string): Summary['access'] | null {
    return this.#accesses.get(name) ?? null
  }

  /** Forgets what was listed for somebody else. */
  clear(): void {
    this.#accesses.clear()
    this.#reached = null
    this.#summaries = []
    this.#next = null
    this.#most = PAGE
    this.#search.clear()
    this.#draw()
  }

  /** How many people have the document open that is open here. */
  set here(people: number) {
    this.#here = people
    this.#draw()
  }

  /** Asks the server again: something was stored, as happens with every word that is typed. */
  refreshSoon(): void {
    // What is not in the list yet is there now: nobody is told anything else meanwhile.
    if (this.#resting !== undefined && !this.#isMissing) {
      this.#isDue = true
      return
    }
    clearTimeout(this.#resting)
    this.#resting = setTimeout(() => {
      this.#resting = undefined
      if (this.#isDue) this.refreshSoon()
    }, REST_MS)
    this.#isDue = false
    void this.refresh()
  }

  /** Whether the whole list lacks the document that is open: nothing of it was stored then. */
  get #isMissing(): boolean {
    const isListed = this.#summaries.some(({ name }) => name === this.#current)
    return this.#current !== null && this.#next === null && !isListed && this.#searched === ''
  }

  /** Takes in that something else is searched for: what is known is shown at once. */
  #narrow(): void {
    if (this.#search.text !== this.#searched) {
      this.#asking.abort()
      this.#most = PAGE
    }
    this.#draw()
  }

  /** Asks the server again. */
  async refresh(): Promise<void> {
    this.#stale = true
    if (this.#loading || document.visibilityState !== 'visible') return
    this.#loading = true
    try {
      while (this.#stale) {
        this.#stale = false
        await this.#load()
      }
    } finally {
      this.#loading = false
    }
    this.#draw()
    if (this.#reached) this.#onreach()
  }

  async #load(): Promise<void> {
    const search = this.#search.text
    this.#asking = new AbortController()
    const { signal } = this.#asking
    try {
      const summaries: Summary[] = []
      let next: string | null = null
      do {
        const got: Page<Summary> = await fetchPage(search, next, signal)
        summaries.push(...got.documents)
        next = got.next
      } while (next !== null && summaries.length < this.#most)
      if (signal.aborted) return
      this.#summaries = summaries
      for (const { name, access } of summaries) this.#accesses.set(name, access)
      this.#next = next
      this.#searched = search
      this.#reached = true
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
      // Something else is searched for by now.
      if (signal.aborted) return
      // Who has to sign in again sees what they saw.
      if (error.status === 401) return
      // Unreachable: the list falls back on what this device knows.
      this.#reached = false
    }
  }

  #draw(): void {
    const search = this.#search.text
    const isSettled = this.#reached === false || search === this.#searched
    const listed = new Map(this.#summaries.map((summary) => [summary.name, summary]))
    let names = [...listed.keys()].sort(
      (a, b) => listed.get(b)!.updated_ms - listed.get(a)!.updated_ms || (a < b ? -1 : 1),
    )
    // The server has looked through them already.
    if (search !== this.#searched) names = names.filter((name) => finds(search, name))
    const others = new Set<string>()
    if (this.#current !== null) others.add(this.#current)
    const unsent = new Set(unsentDocuments())
    // What waits on this device alone would not be found again.
    if (this.#reached) for (const name of unsent) others.add(name)
    const found = (name: string): boolean => !listed.has(name) && finds(search, name)
    names.unshift(...[...others].filter(found))
    if (this.#reached === false) names.push(...recentDocuments().filter((name) => !others.has(name) && found(name)))
    const held = this.#heldPlace()
    this.#list.replaceChildren(...names.map((name) => this.#item(name, listed.get(name), unsent.has(name))))
    if (held) this.#hold(held)
    this.#more.hidden = this.#next === null || !isSettled
    this.#search.show(names.length, this.#next !== null, isSettled)
    const note = this.#words(names.length, isSettled)
    this.#note.hidden = note === ''
    if (this.#note.textContent !== note) this.#note.textContent = note
  }

  /** What is to be said of a list. */
  #words(documents: number, isSettled: boolean): string {
    if (this.#reached === null) return ''
    const isSearch = this.#search.text !== ''
    if (!this.#reached) {
      return isSearch && documents === 0
        ? 'The server is out of reach. Nothing you opened on this device has a name like that.'
        : 'The server is out of reach. What you opened on this device can be read and written.'
    }
    if (documents > 0 || !isSettled) return ''
    return isSearch ? 'No document has a name like that.' : 'No documents yet.'
  }

  /** What in the list has the focus: which row, of which name, and what in it. */
  #heldPlace(): { at: number; name: string | undefined; tag: string } | null {
    const focused = document.activeElement
    const item = focused?.closest('li')
    if (!focused || !item || !this.#list.contains(item)) return null
    const at = [...this.#list.children].indexOf(item)
    return { at, name: item.querySelector('a')?.dataset['name'], tag: focused.localName }
  }

  /** Gives the focus back: to the same, or to what stands there where it is gone. */
  #hold({ at, name, tag }: { at: number; name: string | undefined; tag: string }): void {
    const items = [...this.#list.children]
    const same = items.find((item) => item.querySelector('a')?.dataset['name'] === name)
    const item = same ?? items[Math.min(at, items.length - 1)]
    ;(item?.querySelector<HTMLElement>(same ? tag : 'a') ?? byId('new-document')).focus()
  }

  #item(name: string, summary: Summary | undefined, isUnsent: boolean): HTMLLIElement {
    const link = element('a', { href: documentAddress(name), 'data-name': name, title: name })
    if (name === this.#current) link.setAttribute('aria-current', 'page')
    link.append(element('span', { class: 'name' }, name))
    const details = element('span', { class: 'details' })
    if (isUnsent && name !== this.#current) {
      details.append('Not stored yet')
    } else if (summary) {
      details.append(`Edited ${ago(summary.updated_ms)}`)
      // The open document knows better than a list of some seconds ago.
      const here = name === this.#current ? this.#here : summary.connections
      if (here > 0 && this.#reached) {
        details.append(element('span', { class: 'here' }, `${here} here`))
      }
    } else {
      const isNew = this.#next === null && this.#searched === ''
      const where = !this.#reached ? 'On this device' : isNew ? 'Nothing written yet' : 'Open here'
      details.append(this.#reached === null ? '…' : where)
    }
    link.append(details)
    link.addEventListener('click', (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
      event.preventDefault()
      this.#open(name)
    })
    const item = element('li', {}, link)
    if (summary?.access === 'admin' && this.#reached) item.append(this.#deleteButton(name))
    return item
  }

  #deleteButton(name: string): HTMLButtonElement {
    const button = element('button', { type: 'button', class: 'icon-button', title: 'Delete' }, icon('trash'))
    button.setAttribute('aria-label', `Delete ${name}`)
    button.addEventListener('click', () => this.#delete(name))
    return button
  }
}

async function fetchPage(search: string, after: string | null, signal: AbortSignal): Promise<Page<Summary>> {
  const query = { ...(search !== '' && { search }), ...(after !== null && { after }) }
  return readJson(await ask('', { query, signal }))
}
