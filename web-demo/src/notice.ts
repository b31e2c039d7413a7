import { byId } from './elements.js'
import { RequestFailed } from './request.js'

/** How long a notice stays that offers nothing, milliseconds. */
const STAY_MS = 6_000

/** A word on what was just done, and the way back from it. */
export class Notice {
  readonly #notice = byId('notice')
  readonly #words = byId('notice-text')
  readonly #button = byId<HTMLButtonElement>('notice-action')
  #action: (() => Promise<void>) | null = null
  #going: ReturnType<typeof setTimeout> | undefined
  readonly #uncover: () => void

  /** @param uncover takes away what may be over it */
  constructor(uncover: () => void) {
    this.#uncover = uncover
    this.#button.addEventListener('click', () => {
      const action = this.#action
      this.hide()
      action?.().catch((error: unknown) => {
        if (!(error instanceof RequestFailed)) throw error
        this.show(error.message)
      })
    })
    byId('notice-close').addEventListener('click', () => this.hide())
  }

  /** @param action offers to do this, and waits until it is done or dismissed */
  show(words: string, action?: { label: string; run: () => Promise<void> }): void {
    clearTimeout(this.#going)
    this.#words.textContent = words
    this.#action = action?.run ?? null
    this.#button.textContent = action?.label ?? ''
    this.#button.hidden = action === undefined
    this.#notice.hidden = false
    this.#uncover()
    if (action === undefined) this.#going = setTimeout(() => this.hide(), STAY_MS)
  }

  hide(): void {
    clearTimeout(this.#going)
    this.#notice.hidden = true
    this.#action = null
  }
}
