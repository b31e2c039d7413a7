import { nameFault } from './address.js'
import { byId } from './elements.js'

const WORDS = ['Meeting notes', 'Draft', 'Ideas', 'Plan', 'Journal', 'Reading list']

/** Asks for the name of a new document. */
export class CreateDialog {
  readonly #dialog = byId<HTMLDialogElement>('create')
  readonly #name = byId<HTMLInputElement>('create-name')
  readonly #error = byId('create-error')

  /** @param create opens the document of this name */
  constructor(create: (name: string) => void) {
    byId('create-cancel').addEventListener('click', () => this.#dialog.close())
    this.#name.addEventListener('input', () => (this.#error.textContent = ''))
    this.#dialog.addEventListener('submit', (event) => {
      const name = this.#name.value.trim()
      const fault = nameFault(name)
      event.preventDefault()
      if (fault !== null) {
        this.#error.textContent = fault
        return
      }
      // First of all: a dialog that closes takes the focus back to what opened it.
      this.#dialog.close()
      create(name)
    })
  }

  show(): void {
    const today = new Date().toLocaleDateString('en', { day: 'numeric', month: 'short' })
    this.#name.value = `${WORDS[Math.floor(Math.random() * WORDS.length)]}, ${today}`
    this.#error.textContent = ''
    this.#dialog.showModal()
    this.#name.select()
  }
}
