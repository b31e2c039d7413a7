import type { Awareness } from 'y-protocols/awareness'

import { byId, element } from './elements.js'
import { initials, readUser } from './identity.js'

const narrow = matchMedia('(max-width: 760px)')
/** How many people the row shows before it counts the rest. */
const shown = (): number => (narrow.matches ? 2 : 5)

/** The row of people who have the document open. */
export class PresenceList {
  readonly #list = byId('presence')
  readonly #awareness: Awareness
  readonly #visit: (client: number) => void
  readonly #oncount: (people: number) => void
  #drawn = ''

  /**
   * @param visit shows where this client is
   * @param oncount told how many people are here
   */
  constructor(
    awareness: Awareness,
    visit: (client: number) => void,
    oncount: (people: number) => void,
  ) {
    this.#awareness = awareness
    this.#visit = visit
    this.#oncount = oncount
    awareness.on('change', this.#draw)
    this.#draw()
  }

  destroy(): void {
    this.#awareness.off('change', this.#draw)
    this.#list.replaceChildren()
  }

  readonly #draw = (): void => {
    const own = this.#awareness.clientID
    const people = [...this.#awareness.getStates()]
      .filter(([client, presence]) => client === own || 'user' in presence)
      .map(([client, presence]) => ({ client, ...readUser(presence, client) }))
      .sort((a, b) => Number(b.client === own) - Number(a.client === own) || a.client - b.client)
    // Cursors move much more often than people come and go.
    const drawn = JSON.stringify(people)
    if (drawn === this.#drawn) return
    this.#drawn = drawn
    this.#oncount(people.length)
    const most = shown()
    const items = people.slice(0, most).map(({ client, name, color }) => {
      const mine = client === own
      const who = mine ? `${name} (you)` : name
      const seen = initials(name)
      const avatar = element('button', { type: 'button', class: 'avatar', title: who }, seen)
      // Who speaks to their computer says what they see.
      avatar.setAttribute('aria-label', `${name}, ${seen}${mine ? ', you' : ': show where'}`)
      avatar.disabled = mine
      avatar.style.setProperty('--person', color)
      avatar.addEventListener('click', () => this.#visit(client))
      return element('li', {}, avatar, element('span', { class: 'visually-hidden', 'aria-hidden': 'true' }, who))
    })
    const rest = people.slice(most)
    if (rest.length > 0) {
      const names = rest.map(({ name }) => name).join(', ')
      items.push(
        element(
          'li',
          { title: names },
          element('span', { class: 'avatar rest' }, `+${rest.length}`),
          element('span', { class: 'visually-hidden' }, names),
        ),
      )
    }
    this.#list.replaceChildren(...items)
  }
}
