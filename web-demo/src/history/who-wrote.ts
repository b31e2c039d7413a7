import type { EditorView } from '@codemirror/view'
import type * as Y from 'yjs'

import { byId, element } from '../elements.js'
import { RequestFailed } from '../request.js'
import type { Authors } from './authors.js'
import { setAuthorship, shownRuns } from './authorship.js'
import type { Past } from './past.js'
import { fitRuns, sharesOf } from './runs.js'

/** How long the text rests before the server is asked again, milliseconds. */
const REST_MS = 500
/** The part of the time, at most, for which the server is kept busy with this. */
const BUSY_SHARE = 1 / 5
/** How many people the legend names. */
const NAMED = 6

/** What it needs of the open document. */
export interface Subject {
  past: Past
  authors: Authors
  text: Y.Text
  view: EditorView
  /** What the server stores as the author of what is typed here. */
  getWriter: () => string | null
}

/** "Who wrote what": the text tinted by author, and a legend of the authors. */
export class WhoWrote {
  readonly #subject: Subject
  readonly #legend = byId('legend')
  readonly #onchange: (isShown: boolean) => void
  #isShown = false
  #isAsking = false
  #waiting: ReturnType<typeof setTimeout> | undefined
  #tookMs = 0

  /** @param onchange told whether it is shown */
  constructor(subject: Subject, onchange: (isShown: boolean) => void) {
    this.#subject = subject
    this.#onchange = onchange
    subject.text.observe(this.#onText)
  }

  get isShown(): boolean {
    return this.#isShown
  }

  toggle(): void {
    this.#isShown = !this.#isShown
    this.#onchange(this.#isShown)
    if (this.#isShown) return void this.#ask()
    clearTimeout(this.#waiting)
    this.#legend.hidden = true
    this.#subject.view.dispatch({ effects: setAuthorship.of(null) })
  }

  hide(): void {
    if (this.#isShown) this.toggle()
  }

  /** Asks the server again: something was stored, or it can be reached again. */
  refresh(): void {
    if (!this.#isShown) return
    clearTimeout(this.#waiting)
    this.#waiting = setTimeout(() => void this.#ask(), Math.max(REST_MS, this.#tookMs / BUSY_SHARE))
  }

  destroy(): void {
    this.#isShown = false
    clearTimeout(this.#waiting)
    this.#subject.text.unobserve(this.#onText)
    this.#legend.hidden = true
    this.#onchange(false)
  }

  readonly #onText = (): void => this.refresh()

  async #ask(): Promise<void> {
    if (this.#isAsking) return this.refresh()
    this.#isAsking = true
    const beganMs = performance.now()
    try {
      const attributed = await this.#subject.past.attribution()
      this.#tookMs = performance.now() - beganMs
      if (this.#isShown) this.#show(attributed)
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
      if (this.#isShown) this.#say(`${error.message} Who wrote what is only known there.`)
    } finally {
      this.#isAsking = false
    }
  }

  #show({ text, runs }: Awaited<ReturnType<Past['attribution']>>): void {
    const { view, authors, getWriter } = this.#subject
    const fitted = fitRuns(runs, text, view.state.doc.toString(), shownRuns(view))
    const describe = authors.describe.bind(authors)
    const shown = { runs: fitted.runs, writer: getWriter(), describe }
    view.dispatch({ effects: setAuthorship.of(shown) })
    const shares = sharesOf(fitted.runs)
    if (shares.length === 0) return this.#say('Nothing is written yet.')
    const items = shares.slice(0, NAMED).map(([author, share]) => {
      const { name, color, isKnown } = describe(author)
      const item = element('li', {}, element('bdi', {}, name), ` ${percent(share)}`)
      if (isKnown) item.title = 'Signed in'
      item.style.setProperty('--person', color)
      return item
    })
    const rest = shares.length - NAMED
    if (rest > 0) items.push(element('li', { class: 'rest' }, `and ${rest} more`))
    this.#legend.replaceChildren(element('ul', { 'aria-label': 'Who wrote what' }, ...items))
    this.#legend.hidden = false
  }

  #say(words: string): void {
    this.#legend.replaceChildren(element('p', {}, words))
    this.#legend.hidden = false
  }
}

function percent(share: number): string {
  const whole = Math.round(share * 100)
  return whole === 0 ? '<1%' : `${whole}%`
}
