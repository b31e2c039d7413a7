import { unsentDocuments } from './device-copies.js'
import { byId, element } from './elements.js'

/** Asks whoever signs out what becomes of the copies on this device. */
export class SignOutDialog {
  readonly #dialog = byId<HTMLDialogElement>('leaving')
  readonly #unsent = byId('leaving-unsent')
  readonly #names = byId('leaving-names')

  /**
   * @param keep signs out, and leaves the copies
   * @param remove signs out, and removes them
   */
  constructor(keep: () => void, remove: () => void) {
    const choose = (id: string, run: () => void): void =>
      byId(id).addEventListener('click', () => {
        this.#dialog.close()
        run()
      })
    choose('leaving-keep', keep)
    choose('leaving-remove', remove)
    choose('leaving-cancel', () => undefined)
  }

  show(): void {
    const names = unsentDocuments()
    this.#unsent.hidden = names.length === 0
    this.#names.replaceChildren(...names.map((name) => element('li', {}, element('bdi', {}, name))))
    byId('leaving-remove').textContent =
      names.length === 0 ? 'Sign out and remove the copies' : 'Sign out and lose what is unsent'
    this.#dialog.showModal()
    byId('leaving-keep').focus()
  }
}
