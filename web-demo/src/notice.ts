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
  /** What had the focus before the notice. */
  #before: HTMLElement | null = null
  readonly #uncover: () => void
  readonly #leave: () => void

  /**
   * @param uncover takes away what may be over it
   * @param leave gives the focus to the page, where what had it before is gone
   */
  constructor(uncover: () => void, leave: () => void) {
    this.#uncover = uncover
    this.#leave = leave
    this.#notice.addEventListener('focusin', ({ relatedTarget }) => {
      if (this.#notice.contains(relatedTarget as Node | null)) return
      this.#before = relatedTarget as HTMLElement | null
    })
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
    const held = this.#notice.contains(document.activeElement)
    this.#notice.hidden = true
    this.#action = null
    const before = this.#before
    this.#before = null
    if (!held) return
    if (before?.checkVisibility() && !before.closest('[inert]')) before.focus()
    if (document.activeElement !== before || before === null) this.#leave()
  }
}
