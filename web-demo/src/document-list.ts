import { documentAddress } from './address.js'
import { recentDocuments } from './device-copy.js'
import { byId, element } from './elements.js'

/** One document as the server lists it. */
interface Summary {
  name: string
  updated_ms: number
  connections: number
}

interface Page {
  documents: Summary[]
  next: string | null
}

const REFRESH_MS = 10_000

/** The list of documents beside the text. */
export class DocumentList {
  readonly #list = byId('document-list')
  readonly #more = byId<HTMLButtonElement>('more-documents')
  readonly #note = byId('document-list-note')
  readonly #open: (name: string) => void
  #summaries: Summary[] = []
  #next: string | null = null
  /** How many pages of the server's list are shown. */
  #pages = 1
  #current: string | null = null
  #here = 0
  #reached = false
  #loading = false
  /** Whether something may have changed since the server was asked. */
  #stale = false

  /** @param open opens a document */
  constructor(open: (name: string) => void) {
    this.#open = open
    this.#more.addEventListener('click', () => {
      this.#pages += 1
      void this.refresh()
    })
    setInterval(() => document.visibilityState === 'visible' && void this.refresh(), REFRESH_MS)
    document.addEventListener('visibilitychange', () => void this.refresh())
    window.addEventListener('online', () => void this.refresh())
    this.#draw()
    void this.refresh()
  }

  /** Marks the document that is open. */
  set current(name: string | null) {
    if (name === this.#current) return
    this.#current = name
    this.#draw()
  }

  /** How many people have the document open that is open here. */
  set here(people: number) {
    this.#here = people
    this.#draw()
  }

  /** Asks the server again. */
  async refresh(): Promise<void> {
    this.#stale = true
    if (this.#loading || document.visibilityState !== 'visible') return
    this.#loading = true
    while (this.#stale) {
      this.#stale = false
      await this.#load()
    }
    this.#loading = false
    this.#draw()
  }

  async #load(): Promise<void> {
    try {
      const summaries: Summary[] = []
      let next: string | null = null
      for (let page = 0; page < this.#pages && (page === 0 || next !== null); page += 1) {
        const got: Page = await fetchPage(next)
        summaries.push(...got.documents)
        next = got.next
      }
      this.#summaries = summaries
      this.#next = next
      this.#reached = true
    } catch {
      // Unreachable or not allowed: the list falls back on what this device knows.
      this.#reached = false
    }
  }

  #draw(): void {
    const listed = new Map(this.#summaries.map((summary) => [summary.name, summary]))
    const names = [...listed.keys()].sort(
      (a, b) => listed.get(b)!.updated_ms - listed.get(a)!.updated_ms || (a < b ? -1 : 1),
    )
    if (!this.#reached) names.push(...recentDocuments().filter((name) => !listed.has(name)))
    if (this.#current !== null && !names.includes(this.#current)) names.unshift(this.#current)
    const focused = document.activeElement?.getAttribute('data-name')
    this.#list.replaceChildren(...names.map((name) => this.#item(name, listed.get(name))))
    if (focused) {
      this.#list.querySelector<HTMLElement>(`[data-name="${CSS.escape(focused)}"]`)?.focus()
    }
    this.#more.hidden = this.#next === null
    this.#note.hidden = this.#reached && names.length > 0
    this.#note.textContent = this.#reached
      ? 'No documents yet.'
      : 'The server’s list is out of reach. These are the documents you opened on this device.'
  }

  #item(name: string, summary: Summary | undefined): HTMLLIElement {
    const link = element('a', { href: documentAddress(name), 'data-name': name, title: name })
    if (name === this.#current) link.setAttribute('aria-current', 'page')
    link.append(element('span', { class: 'name' }, name))
    const details = element('span', { class: 'details' })
    if (summary) {
      details.append(`Edited ${ago(summary.updated_ms)}`)
      // The open document knows better than a list of some seconds ago.
      const here = name === this.#current ? this.#here : summary.connections
      if (here > 0 && this.#reached) {
        details.append(element('span', { class: 'here' }, `${here} here`))
      }
    } else {
      details.append(this.#reached ? 'Nothing stored yet' : 'On this device')
    }
    link.append(details)
    link.addEventListener('click', (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
      event.preventDefault()
      this.#open(name)
    })
    return element('li', {}, link)
  }
}

async function fetchPage(after: string | null): Promise<Page> {
  const address = new URL('api/docs', document.baseURI)
  if (after !== null) address.searchParams.set('after', after)
  const response = await fetch(address, { headers: { accept: 'application/json' } })
  if (!response.ok) throw new Error(`expected the list of documents, got status ${response.status}`)
  return (await response.json()) as Page
}

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' })

/** A time in words, seen from now. */
function ago(timeMs: number): string {
  const seconds = Math.max(0, (Date.now() - timeMs) / 1_000)
  if (seconds < 60) return 'just now'
  const minutes = seconds / 60
  if (minutes < 60) return relative.format(-Math.floor(minutes), 'minute')
  const hours = minutes / 60
  if (hours < 24) return relative.format(-Math.floor(hours), 'hour')
  const days = hours / 24
  if (days < 30) return relative.format(-Math.floor(days), 'day')
  return new Date(timeMs).toLocaleDateString('en', { dateStyle: 'medium' })
}
