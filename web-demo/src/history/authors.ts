import { PALETTE } from '../colors.js'
import { cutName } from '../identity.js'

/** What the server puts before a name that somebody gave and nobody vouches for. */
const CLAIMED = '~'

/** Somebody of the history, as people are shown them. */
export interface Author {
  name: string
  color: string
  /** Whether the server knows who it is: they signed in. */
  isKnown: boolean
}

/** Somebody who is here: what they show, and their id where the server knows it. */
export interface Person {
  id: string | null
  name: string
  color: string
}

/** What an author whom nobody named is shown as. */
const UNNAMED: Author = { name: 'Somebody', color: '#6e7773', isKnown: false }

/** Names and colours for the authors of a document. */
export class Authors {
  readonly #people: () => Iterable<Person>
  /** The people who were here, by author. */
  readonly #seen = new Map<string, Person>()
  readonly #given = new Map<string, string>()

  /** @param people who is here now: they keep the names and colours they chose, also when they have left */
  constructor(people: () => Iterable<Person>) {
    this.#people = people
  }

  describe(author: string | null): Author {
    if (author === null) return UNNAMED
    this.#look()
    const isKnown = !author.startsWith(CLAIMED)
    // A claim is kept whole, and shown as that of somebody who is here: that long.
    const name = isKnown ? author : cutName(author.slice(CLAIMED.length))
    // A claim is not taken for somebody known, nor they for a claim, whatever they are called.
    const person = this.#seen.get(isKnown ? author : CLAIMED + name)
    if (person) return { name: person.name, color: person.color, isKnown }
    return { name, color: this.#colorOf(author), isKnown }
  }

  /** Notes who is here: of several tabs of somebody the first. */
  #look(): void {
    const noted = new Set<string>()
    for (const person of this.#people()) {
      const author = person.id ?? CLAIMED + person.name
      if (!noted.has(author)) this.#seen.set(author, person)
      noted.add(author)
    }
  }

  /** A colour of its own, as long as there are some; the same one every time. */
  #colorOf(author: string): string {
    let color = this.#given.get(author)
    if (color === undefined) {
      const taken = new Set(this.#given.values())
      for (const person of this.#seen.values()) taken.add(person.color)
      let hash = 0
      for (const unit of author) hash = (hash * 31 + unit.codePointAt(0)!) >>> 0
      const turned = PALETTE.map((_, index) => PALETTE[(hash + index) % PALETTE.length]!)
      color = turned.find((each) => !taken.has(each)) ?? turned[0]!
      this.#given.set(author, color)
    }
    return color
  }
}
