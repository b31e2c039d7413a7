/**
 * What the browser keeps for the page, by name.
 *
 * Where people forbid that, or there is no room for it, the page itself remembers until it is left.
 */
export class Kept {
  readonly #storage: () => Storage
  readonly #remembered = new Map<string, string | null>()

  /** @param storage gives the browser's, or throws what the browser does where it is forbidden */
  constructor(storage: () => Storage) {
    this.#storage = storage
  }

  get(name: string): string | null {
    const remembered = this.#remembered.get(name)
    if (remembered !== undefined) return remembered
    try {
      return this.#storage().getItem(name)
    } catch {
      return null
    }
  }

  /** @param value null lets go of what was kept */
  set(name: string, value: string | null): void {
    try {
      if (value === null) this.#storage().removeItem(name)
      else this.#storage().setItem(name, value)
      this.#remembered.delete(name)
    } catch {
      this.#remembered.set(name, value)
    }
  }
}

/** For all pages of this server on the device, for good. */
export const onDevice = new Kept(() => localStorage)
/** For this tab, as long as it is there. */
export const inTab = new Kept(() => sessionStorage)
