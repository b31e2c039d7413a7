import { byId } from './elements.js'

const narrow = matchMedia('(max-width: 760px)')

/** The column with the documents; on narrow screens a drawer over the text. */
export class Sidebar {
  readonly #sidebar = byId('sidebar')
  readonly #scrim = byId('scrim')
  readonly #opener = byId('open-sidebar')
  #isOpen = false

  constructor() {
    this.#opener.addEventListener('click', () => this.open())
    byId('close-sidebar').addEventListener('click', () => this.close())
    this.#scrim.addEventListener('click', () => this.close())
    this.#sidebar.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.close()
    })
    narrow.addEventListener('change', () => this.close())
    this.#draw()
  }

  open(): void {
    this.#isOpen = true
    this.#draw()
    if (narrow.matches) byId('close-sidebar').focus()
  }

  close(): void {
    const held = this.#sidebar.contains(document.activeElement)
    const wasOpen = this.#isOpen
    this.#isOpen = false
    this.#draw()
    if (wasOpen && held && narrow.matches) this.#opener.focus()
  }

  #draw(): void {
    const drawn = narrow.matches && this.#isOpen
    this.#sidebar.classList.toggle('open', drawn)
    this.#sidebar.inert = narrow.matches && !this.#isOpen
    // What the drawer covers is out of the keyboard's reach as well.
    byId('main').inert = drawn
    this.#scrim.hidden = !drawn
    this.#opener.setAttribute('aria-expanded', String(drawn))
  }
}
