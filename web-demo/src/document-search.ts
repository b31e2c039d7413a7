import { byId } from './elements.js'

/** How long the server is not asked after a key, for there may be another, milliseconds. */
const REST_MS = 150
/** How many documents are seen at a glance: where there are no more, nothing is to be searched. */
const GLANCE = 8

/** Words that a name has, whatever their order and case: as the server compares them. */
export function finds(search: string, name: string): boolean {
  const folded = fold(name)
  return fold(search)
    .split(/\s+/)
    .every((word) => folded.includes(word))
}

/** Letters of either case, and those with accents and without, as the same ones. */
function fold(text: string): string {
  // What has no small letter of its own has some by way of its capitals: ß and ss.
  return text.normalize('NFKD').replace(/\p{Mn}/gu, '').toUpperCase().toLowerCase().trim()
}

/** The field above the list of documents, and the keys that lead from it through the list and back. */
export class DocumentSearch {
  readonly #field = byId<HTMLInputElement>('document-search')
  readonly #found = byId('documents-found')
  readonly #list: HTMLElement
  readonly #onchange: () => void
  readonly #onsettle: () => void
  #settling: ReturnType<typeof setTimeout> | undefined

  /**
   * @param list what is searched: links in it are documents
   * @param onchange called with each key
   * @param onsettle called when the server is to be asked
   */
  constructor(list: HTMLElement, onchange: () => void, onsettle: () => void) {
    this.#list = list
    this.#onchange = onchange
    this.#onsettle = onsettle
    this.#field.addEventListener('input', () => this.#change())
    this.#field.addEventListener('keydown', (event) => this.#leave(event))
    list.addEventListener('keydown', (event) => this.#walk(event))
  }

  /** What names are to have; empty where nothing is searched for. */
  get text(): string {
    return this.#field.value.trim()
  }

  clear(): void {
    if (this.#field.value === '') return
    this.#field.value = ''
    this.#change()
  }

  /**
   * Shows the field where there is something to search, and tells who cannot see the list how long it is.
   *
   * @param documents how many are listed
   * @param hasMore whether the server has more
   * @param isSettled whether they are what is searched for
   */
  show(documents: number, hasMore: boolean, isSettled: boolean): void {
    const isUsed = this.text !== '' || document.activeElement === this.#field
    this.#field.parentElement!.hidden = documents <= GLANCE && !hasMore && !isUsed
    if (this.text === '') this.#found.textContent = ''
    else if (isSettled && documents > 0) {
      this.#found.textContent = documents === 1 ? 'One document found' : `${documents}${hasMore ? ' or more' : ''} documents found`
    }
  }

  #change(): void {
    clearTimeout(this.#settling)
    this.#settling = setTimeout(this.#onsettle, this.text === '' ? 0 : REST_MS)
    this.#onchange()
  }

  #leave(event: KeyboardEvent): void {
    if (event.isComposing) return
    const [first] = this.#links()
    if (event.key === 'ArrowDown') first?.focus()
    else if (event.key === 'Enter') first?.click()
    else if (event.key === 'Escape' && this.#field.value !== '') {
      // One more of them closes the drawer.
      event.stopPropagation()
      this.clear()
    } else return
    event.preventDefault()
  }

  /** Goes up and down in the list, and from its top back to the field. */
  #walk(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return
    const links = this.#links()
    const at = links.findIndex((link) => link.closest('li')?.contains(document.activeElement))
    if (at < 0) return
    event.preventDefault()
    const next = links[at + step]
    if (next) next.focus()
    else if (step < 0) this.#field.focus()
  }

  #links(): HTMLAnchorElement[] {
    return [...this.#list.querySelectorAll('a')]
  }
}
