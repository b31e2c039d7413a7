import { ObservableV2 } from 'lib0/observable'

/**
 * Calls listeners, of which one that fails stops neither the others nor whoever tells them.
 *
 * What it throws is reported as what an event listener of the browser throws.
 */
export class Emitter<
  Events extends { [Name in keyof Events]: (...details: any[]) => void },
> extends ObservableV2<Events> {
  override emit<Name extends keyof Events & string>(name: Name, details: Parameters<Events[Name]>): void {
    for (const listener of [...(this._observers.get(name) ?? [])]) {
      try {
        listener(...details)
      } catch (error) {
        report(error)
      }
    }
  }
}

/** Tells the page, and no transport, of what its own code throws. */
export function report(error: unknown): void {
  if (typeof reportError === 'function') return reportError(error)
  queueMicrotask(() => {
    throw error
  })
}
