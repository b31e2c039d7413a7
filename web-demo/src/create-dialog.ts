import { nameFault } from './address.js'
import { byId } from './elements.js'
import { RequestFailed } from './request.js'

const WORDS = ['Meeting notes', 'Draft', 'Ideas', 'Plan', 'Journal', 'Reading list']
/** The pattern of all names. */
const ALL = '**'

/** Asks for the name of a new document. */
export class CreateDialog {
  readonly #dialog = byId<HTMLDialogElement>('create')
  readonly #name = byId<HTMLInputElement>('create-name')
  readonly #about = byId('create-about')
  readonly #error = byId('create-error')
  readonly #create: (name: string) => void
  readonly #mayWrite: (name: string) => Promise<boolean>
  #writable: readonly string[] | null = [ALL]

  /**
   * @param create opens the document of this name
   * @param mayWrite whether they may write it; throws RequestFailed where the server does not say
   */
  constructor(create: (name: string) => void, mayWrite: (name: string) => Promise<boolean>) {
    this.#create = create
    this.#mayWrite = mayWrite
    byId('create-cancel').addEventListener('click', () => this.#dialog.close())
    this.#name.addEventListener('input', () => (this.#error.textContent = ''))
    this.#dialog.addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#submit()
    })
  }

  /** @param writable patterns of the names that they may write; null where that is asked of each name */
  show(writable: readonly string[] | null): void {
    this.#writable = writable
    this.#name.value = suggestion(writable)
    const isBound = writable !== null && !writable.includes(ALL)
    this.#about.hidden = !isBound
    this.#about.textContent = isBound
      ? `You may write documents with names like ${writable.join(', ')}, where * stands for anything.`
      : ''
    this.#error.textContent = ''
    this.#dialog.showModal()
    this.#name.select()
  }

  async #submit(): Promise<void> {
    const name = this.#name.value.trim()
    const fault = nameFault(name) ?? (await this.#refusal(name))
    // They may have changed it, or their mind, while the server was asked.
    if (!this.#dialog.open || this.#name.value.trim() !== name) return
    if (fault !== null) {
      this.#error.textContent = fault
      this.#name.focus()
      return
    }
    // First of all: a dialog that closes takes the focus back to what opened it.
    this.#dialog.close()
    this.#create(name)
  }

  /** Why they may not have a document of this name; null where they may, or where nobody says. */
  async #refusal(name: string): Promise<string | null> {
    if (this.#writable?.includes(ALL)) return null
    try {
      return (await this.#mayWrite(name)) ? null : 'You may not write a document of this name.'
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
      // Without a connection it is begun on this device.
      return null
    }
  }
}

/** A name that fits the patterns, the widest of them, as far as anybody can tell. */
export function suggestion(writable: readonly string[] | null): string {
  const today = new Date().toLocaleDateString('en', { day: 'numeric', month: 'short' })
  const words = `${WORDS[Math.floor(Math.random() * WORDS.length)]}, ${today}`
  return (writable?.at(-1) ?? ALL).replace(/\*+/g, words)
}
