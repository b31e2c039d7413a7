import { byId, element } from './elements.js'
import type { Notice } from './notice.js'
import { type Page, RequestFailed, ask, askJson, pathOf } from './request.js'
import { ago } from './times.js'

/** A document in the trash, as the server lists it. */
interface Deleted {
  name: string
  deleted_ms: number
  deleted_by: string | null
}

/** What the trash needs of the page. */
export interface TrashSubject {
  notice: Notice
  /** Told when a document was deleted here. */
  ondeleted: (name: string) => void
  /** Told when that was taken back. */
  onundeleted: (name: string) => void
}

/** Where deleted documents are, until the server erases them: what goes there, and comes back. */
export class Trash {
  readonly #subject: TrashSubject
  readonly #dialog = byId<HTMLDialogElement>('trash')
  readonly #list = byId('trash-list')
  readonly #note = byId('trash-note')

  constructor(subject: TrashSubject) {
    this.#subject = subject
    byId('open-trash').addEventListener('click', () => void this.#show())
    byId('close-trash').addEventListener('click', () => this.#dialog.close())
  }

  /** Deletes a document, and offers the way back. */
  async take(name: string): Promise<void> {
    const { notice, ondeleted } = this.#subject
    try {
      await ask(pathOf(name), { method: 'DELETE' })
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
      return notice.show(error.message)
    }
    ondeleted(name)
    notice.show(`Deleted “${name}”.`, { label: 'Undo', run: () => this.giveBack(name) })
  }

  /**
   * Brings a document back.
   *
   * @throws RequestFailed where the server does not
   */
  async giveBack(name: string): Promise<void> {
    await ask(`${pathOf(name)}/undelete`, { method: 'POST' })
    this.#subject.onundeleted(name)
  }

  async #show(): Promise<void> {
    this.#list.replaceChildren()
    this.#say('Looking…')
    this.#dialog.showModal()
    await this.#attempt(async () => {
      const { documents } = await askJson<Page<Deleted>>('', { deleted: 'true', limit: '1000' })
      documents.sort((a, b) => b.deleted_ms - a.deleted_ms)
      this.#list.replaceChildren(...documents.map((deleted) => this.#item(deleted)))
      this.#say(documents.length === 0 ? 'Nothing is in the trash.' : '')
    })
  }

  #item({ name, deleted_ms, deleted_by }: Deleted): HTMLLIElement {
    const by = deleted_by === null ? '' : ` by ${deleted_by}`
    const back = element('button', { type: 'button', class: 'quiet' }, 'Bring back')
    back.setAttribute('aria-label', `Bring back ${name}`)
    back.addEventListener('click', () => {
      back.disabled = true
      void this.#attempt(async () => {
        await this.giveBack(name)
        this.#dialog.close()
      }).finally(() => (back.disabled = false))
    })
    const words = element(
      'div',
      {},
      element('bdi', { class: 'name', title: name }, name),
      element('span', { class: 'details' }, `Deleted ${ago(deleted_ms)}${by}`),
    )
    return element('li', {}, words, back)
  }

  async #attempt(run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
      this.#say(error.message)
    }
  }

  #say(words: string): void {
    this.#note.textContent = words
    this.#note.hidden = words === ''
  }
}
