import type { Account } from './account.js'
import { byId } from './elements.js'
import { RequestFailed } from './request.js'
import { cleanToken } from './token.js'

/** Why somebody is asked to sign in. */
export type Occasion = 'arrived' | 'lapsed' | 'left'

const WORDS: Record<Occasion, [title: string, about: string]> = {
  arrived: ['Sign in', 'This server asks who you are. Paste the token you were given, or open the link that it came in.'],
  lapsed: ['Your sign-in has ended', 'Paste a new token to go on. What you write meanwhile waits here and is stored then.'],
  left: ['You are signed out', 'Paste a token to sign in again.'],
}

/** The form that takes a token: alone on the page, or above the text of who was signed in and still writes. */
export class SignIn {
  readonly #account: Account
  readonly #section = byId('sign-in')
  readonly #token = byId<HTMLInputElement>('token')
  readonly #error = byId('sign-in-error')
  readonly #submit = byId<HTMLButtonElement>('sign-in-submit')
  readonly #onleave: () => void

  /** @param onleave called before the form goes away while it has the focus: to give it to something else */
  constructor(account: Account, onleave: () => void) {
    this.#account = account
    this.#onleave = onleave
    byId('sign-in-form').addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#send()
    })
    this.#token.addEventListener('input', () => this.#complain(''))
  }

  get isShown(): boolean {
    return !this.#section.hidden
  }

  /**
   * Asks for a token.
   *
   * @param reason what the server says against the one there was; empty where there was none
   */
  show(occasion: Occasion, reason: string): void {
    const [title, about] = WORDS[occasion]
    byId('sign-in-title').textContent = title
    byId('sign-in-about').textContent = about
    this.#section.hidden = false
    // It is about the last token, and nothing against what will stand here.
    this.#complain(reason && explainReason(reason), false)
    // Whoever types goes on typing: their words do not belong here.
    const focused = document.activeElement
    if (occasion !== 'lapsed' || focused === null || focused === document.body) this.#token.focus()
  }

  hide(): void {
    if (!this.isShown) return
    const held = this.#section.contains(document.activeElement)
    this.#section.hidden = true
    this.#token.value = ''
    this.#complain('')
    if (held) this.#onleave()
  }

  async #send(): Promise<void> {
    const token = cleanToken(this.#token.value)
    if (this.#submit.getAttribute('aria-disabled') === 'true') return
    if (token === '') return this.#refuse('Paste a token first.')
    this.#submit.setAttribute('aria-disabled', 'true')
    try {
      const reason = await this.#account.signIn(token)
      if (reason !== null) this.#refuse(explainReason(reason))
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
      this.#refuse(error.message)
    } finally {
      this.#submit.removeAttribute('aria-disabled')
    }
  }

  #refuse(words: string): void {
    this.#complain(words)
    this.#token.select()
  }

  #complain(words: string, isInvalid = words !== ''): void {
    this.#error.textContent = words
    this.#token.setAttribute('aria-invalid', String(isInvalid))
  }
}

/** What the server says against a token, for people. */
function explainReason(reason: string): string {
  return `The server refused it: ${reason}.`
}
