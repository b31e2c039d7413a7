import { byId } from '../elements.js'
import { RequestFailed } from '../request.js'
import type { Past } from './past.js'
import type { Version } from './versions.js'

/** Asks for the name of a version, and gives it. */
export class NamingDialog {
  readonly #past: Past
  readonly #onnamed: (version: Version) => void
  readonly #dialog = byId<HTMLDialogElement>('naming')
  readonly #about = byId('naming-about')
  readonly #name = byId<HTMLInputElement>('version-name')
  readonly #error = byId('naming-error')
  #seq: number | null = null

  /** @param signal ends it */
  constructor(past: Past, onnamed: (version: Version) => void, signal: AbortSignal) {
    this.#past = past
    this.#onnamed = onnamed
    byId('naming-cancel').addEventListener('click', () => this.#dialog.close(), { signal })
    this.#name.addEventListener('input', () => (this.#error.textContent = ''), { signal })
    const submit = (event: Event): void => {
      event.preventDefault() // It closes when the server has taken the name.
      void this.#submit()
    }
    this.#dialog.addEventListener('submit', submit, { signal })
    signal.addEventListener('abort', () => this.#dialog.close())
  }

  /**
   * @param seq the point to name; the newest one where there is none
   * @param about what that is, for people
   */
  show(seq: number | null, about: string): void {
    this.#seq = seq
    this.#about.textContent = about
    this.#name.value = ''
    this.#error.textContent = ''
    this.#dialog.showModal()
    this.#name.focus()
  }

  async #submit(): Promise<void> {
    const name = this.#name.value.trim()
    const fault = versionFault(name)
    if (fault !== null) return void (this.#error.textContent = fault)
    try {
      const version = await this.#past.nameVersion(name, this.#seq)
      this.#dialog.close()
      this.#onnamed(version)
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
      this.#error.textContent = explain(error)
    }
  }
}

const UNREADABLE = 'A name is at most 200 bytes long and reads neither as a number nor as a date.'

/** What is plainly wrong with a version's name; null where the server may take it. */
export function versionFault(name: string): string | null {
  if (name === '') return 'A version needs a name.'
  const bytes = new TextEncoder().encode(name).byteLength
  const isPoint = /^(\p{Nd}+|\d{4}-\d\d-\d\d([T ].*)?)$/u.test(name)
  return bytes > 200 || isPoint ? UNREADABLE : null
}

function explain({ status, message }: RequestFailed): string {
  if (status === 400) return UNREADABLE
  if (status === 409) return 'There is a version of this name already.'
  if (status === 404) return 'There is nothing to name yet.'
  return message
}
