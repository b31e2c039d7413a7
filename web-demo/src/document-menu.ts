import { byId, element, placeBelow } from './elements.js'
import type { Past } from './history/past.js'
import type { Notice } from './notice.js'
import { RequestFailed } from './request.js'

/** How long a browser may take to fetch a file that the page itself made, milliseconds. */
const FETCHED_MS = 60_000

/** What the menu needs of the open document and the page. */
export interface MenuSubject {
  name: string
  past: Past
  notice: Notice
  onhistory: () => void
  onauthors: () => void
  onfind: () => void
  ondelete: () => void
  /** Whether they may delete it. */
  mayDelete: () => boolean
  /** The text as it is shown. */
  getText: () => string
}

/** The menu of what can be done with the open document as a whole. */
export class DocumentMenu {
  readonly #menu = byId('document-menu')
  readonly #subject: MenuSubject

  constructor(subject: MenuSubject, signal: AbortSignal) {
    this.#subject = subject
    this.#menu.addEventListener(
      'beforetoggle',
      () => {
        byId('delete-document').hidden = !subject.mayDelete()
        // It looks through the text as it is now.
        byId('menu-find').hidden = !byId('preview').hidden
      },
      { signal },
    )
    this.#menu.addEventListener('toggle', () => placeBelow(this.#menu, byId('open-menu')), { signal })
    const choose = (id: string, run: () => void): void =>
      byId(id).addEventListener('click', () => {
        this.#menu.hidePopover()
        run()
      }, { signal })
    choose('menu-history', subject.onhistory)
    choose('menu-authors', subject.onauthors)
    choose('menu-find', subject.onfind)
    choose('copy-link', () => void this.#copyLink())
    choose('delete-document', () => void this.#deleteStored())
    choose('download', () => this.#download())
    signal.addEventListener('abort', () => this.#menu.hidePopover())
  }

  #download(): void {
    const { name, getText } = this.#subject
    const file = new Blob([getText()], { type: 'text/markdown;charset=utf-8' })
    const href = URL.createObjectURL(file)
    element('a', { href, download: `${name.replace(/[\\/:*?"<>|]/g, ' ')}.md` }).click()
    setTimeout(() => URL.revokeObjectURL(href), FETCHED_MS)
  }

  async #copyLink(): Promise<void> {
    try {
      await navigator.clipboard.writeText(location.href)
      this.#subject.notice.show('The address is copied. Whoever opens it writes along.')
    } catch {
      this.#subject.notice.show(`The address to share: ${location.href}`)
    }
  }

  async #deleteStored(): Promise<void> {
    const { past, notice, ondelete } = this.#subject
    try {
      if (await past.isStored()) ondelete()
      else notice.show('Nothing of this document is stored yet.')
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
      notice.show(error.message)
    }
  }
}
