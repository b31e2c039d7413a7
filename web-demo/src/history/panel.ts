import { byId, element } from '../elements.js'
import type { Notice } from '../notice.js'
import { RequestFailed } from '../request.js'
import type { Authors } from './authors.js'
import { type Row, dayOf, keyOf, timesOf } from './changes.js'
import { NamingDialog } from './naming-dialog.js'
import type { Past } from './past.js'
import { Preview } from './preview.js'
import { nameBeforeRestore, shownName } from './restores.js'
import { RowList, who } from './row-list.js'
import { Timeline } from './timeline.js'

const OFFLINE = 'Offline. The history is on the server, and goes on when it is reached again.'

const narrow = matchMedia('(max-width: 760px)')

/** What the panel needs of the open document and the page. */
export interface HistorySubject {
  past: Past
  authors: Authors
  notice: Notice
  /** Says something to people who cannot see the page. */
  announce: (message: string) => void
  /** Told what everybody was taken back to. */
  onrestore: (what: string) => void
}

/** The history of the open document: a sheet beside the text, and the text as it was. */
export class HistoryPanel {
  readonly #subject: HistorySubject
  readonly #sheet = byId('history')
  readonly #main = byId('main')
  readonly #opener = byId('open-history')
  readonly #older = byId<HTMLButtonElement>('older-changes')
  readonly #restore = byId<HTMLButtonElement>('restore')
  readonly #forget = byId<HTMLButtonElement>('forget-version')
  readonly #nameNow = byId<HTMLButtonElement>('name-now')
  readonly #timeline: Timeline
  readonly #list: RowList
  readonly #preview = new Preview(byId('preview-text'))
  readonly #dialog: NamingDialog
  readonly #controls = new AbortController()
  readonly #watcher: IntersectionObserver
  #isOpen = false
  #isReachable = false
  #mayWrite = false
  #isRestoring = false
  #chosen: Row | null = null
  #drawing: number | null = null

  constructor(subject: HistorySubject) {
    this.#subject = subject
    const { past, authors } = subject
    const { signal } = this.#controls
    this.#timeline = new Timeline(past, () => this.#drawSoon())
    const describe = authors.describe.bind(authors)
    this.#list = new RowList({ describe, onchoose: (row) => void this.#choose(row) }, signal)
    this.#dialog = new NamingDialog(past, (version) => {
      this.#timeline.add(version)
      subject.notice.show(`Named “${version.name}”.`)
    }, signal)
    this.#listen(signal)
    this.#watcher = new IntersectionObserver(
      (entries) => {
        if (entries.some(({ isIntersecting }) => isIntersecting)) void this.#timeline.loadOlder()
      },
      { root: byId('history-scroll'), rootMargin: '300px' },
    )
    this.#watcher.observe(this.#older)
    this.#place()
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  open(): void {
    if (this.#isOpen) return
    this.#isOpen = true
    this.#timeline.follow()
    this.#place()
    this.#draw()
    byId('history-title').focus()
  }

  close(): void {
    if (!this.#isOpen) return
    const held = this.#sheet.contains(document.activeElement)
    this.#isOpen = false
    this.#chosen = null
    this.#timeline.rest()
    this.#place()
    // On narrow screens the button is in the menu.
    const isThere = this.#opener.getClientRects().length > 0
    if (held) (isThere ? this.#opener : byId('open-menu')).focus()
  }

  /** Tells whether the server can be reached, and whether the text may be changed. */
  set standing({ isReachable, mayWrite }: { isReachable: boolean; mayWrite: boolean }) {
    const isBack = isReachable && !this.#isReachable
    this.#isReachable = isReachable
    this.#mayWrite = mayWrite
    if (this.#isOpen && isBack) this.#timeline.follow()
    this.#drawSoon()
  }

  destroy(): void {
    this.#isOpen = false
    this.#chosen = null
    this.#controls.abort()
    this.#watcher.disconnect()
    this.#timeline.rest()
    this.#preview.destroy()
    if (this.#drawing !== null) cancelAnimationFrame(this.#drawing)
    this.#place()
  }

  #listen(signal: AbortSignal): void {
    const click = (id: string, listener: () => void): void =>
      byId(id).addEventListener('click', listener, { signal })
    click('open-history', () => (this.#isOpen ? this.close() : this.open()))
    click('close-history', () => this.close())
    click('preview-close', () => this.#return())
    click('older-changes', () => void this.#timeline.loadOlder())
    click('name-now', () => this.#dialog.show(null, 'The text as it is now'))
    click('name-version', () => {
      if (this.#chosen) this.#dialog.show(this.#chosen.seq, `The text of ${when(this.#chosen)}`)
    })
    click('restore', () => void this.#restoreChosen())
    click('forget-version', () => void this.#forgetChosen())
    const escape = (event: KeyboardEvent): void => {
      if (event.key !== 'Escape') return
      event.preventDefault()
      if (this.#chosen) this.#return()
      else this.close()
    }
    this.#sheet.addEventListener('keydown', escape, { signal })
    byId('preview').addEventListener('keydown', escape, { signal })
    narrow.addEventListener('change', () => this.#place(), { signal })
    // A page that nobody sees keeps no stream open: browsers allow few to a server.
    document.addEventListener('visibilitychange', () => {
      if (!this.#isOpen) return
      if (document.visibilityState === 'visible') this.#timeline.follow()
      else this.#timeline.rest()
    }, { signal })
  }

  /** Shows the text as it was at a row. */
  async #choose(row: Row): Promise<void> {
    const { past, authors, announce } = this.#subject
    this.#chosen = row
    const authorsOf = row.kind === 'version' ? [row.version.author] : row.moment.authors
    byId('preview-title').textContent = row.kind === 'version' ? shownName(row.version.name) : when(row)
    byId('preview-who').replaceChildren(
      row.kind === 'version' && row.version.automatic
        ? element('span', {}, when(row))
        : who(authorsOf.map((author) => authors.describe(author)), row.kind === 'moment' ? row.restore : null),
    )
    const text = byId('preview-text')
    text.setAttribute('aria-busy', 'true')
    this.#place()
    this.#draw()
    try {
      const [was, hunks] = await Promise.all([past.text(row.seq), past.hunks(row.before, row.seq)])
      if (this.#chosen !== row) return
      this.#preview.show(was, hunks)
      const places = hunks.length === 1 ? 'one place' : `${hunks.length} places`
      announce(`The text of ${when(row)}. ${hunks.length === 0 ? 'Nothing' : places} changed.`)
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
      if (this.#chosen !== row) return
      this.#return()
      this.#subject.notice.show(error.message)
    } finally {
      if (this.#chosen === row || this.#chosen === null) text.removeAttribute('aria-busy')
    }
  }

  /** Goes back to the text as it is now. */
  #return(): void {
    const held = byId('preview').contains(document.activeElement)
    const chosen = this.#chosen
    this.#chosen = null
    this.#place()
    this.#draw()
    if (held && chosen) {
      const rows = this.#sheet.querySelectorAll<HTMLButtonElement>('.row')
      const at = this.#timeline.rows.findIndex((row) => keyOf(row) === keyOf(chosen))
      ;(rows[at] ?? byId('history-title')).focus()
    }
  }

  async #restoreChosen(): Promise<void> {
    const row = this.#chosen
    if (!row || this.#isRestoring) return
    const { past, notice, onrestore } = this.#subject
    // A button that is disabled would lose the focus, and with it the way back to the list.
    this.#isRestoring = true
    try {
      // What there was has a name from now on: the way back for everybody, when the notice is gone.
      const name = nameBeforeRestore(past.writer, lastingName(row), Date.now())
      const before = await past.nameVersion(name, null)
      let changed = false
      try {
        changed = (await past.restore(row.seq)).changed
      } finally {
        // Where nothing came of it, there is nothing to come back from.
        if (!changed) await past.forgetVersion(before.name)
      }
      const what = row.kind === 'version' ? `“${row.version.name}”` : when(row)
      this.#return()
      if (narrow.matches) this.close()
      if (!changed) return notice.show('The text is just as it was then already.')
      onrestore(lastingName(row))
      notice.show(`Restored the text of ${what}, for everybody.`, {
        label: 'Undo',
        run: async () => {
          await past.restore(before.seq)
          onrestore('what there was before')
          await past.forgetVersion(before.name)
          this.#timeline.remove(before.name)
          notice.show('The restore is undone.')
        },
      })
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
      notice.show(error.message)
    } finally {
      this.#isRestoring = false
      this.#draw()
    }
  }

  async #forgetChosen(): Promise<void> {
    const row = this.#chosen
    if (row?.kind !== 'version') return
    const { past, notice } = this.#subject
    const { name, seq } = row.version
    try {
      await past.forgetVersion(name)
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
      return notice.show(error.message)
    }
    this.#return()
    this.#timeline.remove(name)
    notice.show(`Forgot the name “${name}”. The history stays.`, {
      label: 'Undo',
      run: async () => this.#timeline.add(await past.nameVersion(name, seq)),
    })
  }

  /** Puts the sheet and the text where they belong now. */
  #place(): void {
    const isLooking = this.#chosen !== null
    const { classList } = document.body
    classList.toggle('history-open', this.#isOpen)
    classList.toggle('looking-back', isLooking)
    this.#sheet.hidden = !this.#isOpen || (narrow.matches && isLooking)
    this.#main.inert = narrow.matches && this.#isOpen && !isLooking
    byId('preview').hidden = !isLooking
    byId('text').inert = isLooking
    this.#opener.setAttribute('aria-expanded', String(this.#isOpen))
    if (narrow.matches && isLooking) byId('preview-close').focus()
  }

  #drawSoon(): void {
    this.#drawing ??= requestAnimationFrame(() => {
      this.#drawing = null
      this.#draw()
    })
  }

  #draw(): void {
    if (!this.#isOpen) return
    const { rows, newest, failure, hasOlder, isLoading, isLoaded } = this.#timeline
    // A moment that goes on while it is looked at is still the one that was chosen.
    this.#list.draw(rows, this.#chosen && keyOf(this.#chosen), newest)
    this.#older.hidden = !hasOlder || !isLoaded
    this.#older.textContent = isLoading ? 'Loading…' : 'Show older changes'
    if (hasOlder && !isLoading && failure === null) {
      // A page may be too short to move the button out of sight: it is looked at anew.
      this.#watcher.unobserve(this.#older)
      this.#watcher.observe(this.#older)
    }
    const note = byId('history-note')
    note.textContent = this.#isReachable ? (failure ?? '') : OFFLINE
    const empty = byId('history-empty')
    empty.hidden = rows.length > 0 || !isLoaded
    const { authors } = this.#subject
    byId('history-names').hidden = !rows.some(
      (row) => row.kind === 'moment' && !row.moment.authors.every((author) => authors.describe(author).isKnown),
    )
    const canChange = this.#isReachable && this.#mayWrite
    const isNewest = this.#chosen?.seq === newest
    this.#nameNow.hidden = this.#restore.hidden = !this.#mayWrite
    this.#nameNow.disabled = !canChange || newest === 0
    byId<HTMLButtonElement>('name-version').disabled = !canChange
    byId('name-version').hidden = !this.#mayWrite || this.#chosen?.kind === 'version'
    this.#forget.disabled = !canChange
    this.#forget.hidden = !this.#mayWrite || this.#chosen?.kind !== 'version'
    this.#restore.disabled = !canChange || isNewest
    this.#restore.title = isNewest ? 'This is the text as it is now' : ''
  }
}

/** What the text of a row is called, also in years. */
function lastingName(row: Row): string {
  if (row.kind === 'version') return `“${shownName(row.version.name)}”`
  const format = { day: 'numeric', month: 'short', hour: 'numeric', minute: '2-digit' } as const
  return `the text of ${new Date(row.moment.lastMs).toLocaleString('en', format)}`
}

/** When a row was, in words. */
function when(row: Row): string {
  const lastMs = row.kind === 'version' ? row.version.created_ms : row.moment.lastMs
  const firstMs = row.kind === 'version' ? lastMs : row.moment.firstMs
  return `${dayOf(lastMs, Date.now())}, ${timesOf(firstMs, lastMs)}`
}
