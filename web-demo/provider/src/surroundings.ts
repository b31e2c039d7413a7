/** What a browser tells of the network and the tab. */
export interface Surroundings {
  /** The network is back, or the tab was woken. */
  onwake: () => void
  /** The network is gone. */
  onoffline: () => void
  /** The page is being left. */
  onleave: () => void
}

/** How often the clock is looked at, milliseconds. */
const TICK_MS = 3_000
/** A tick that comes so much too late came after a sleep, milliseconds; background tabs tick once a minute. */
const SLEEP_MS = 65_000

/**
 * Listens to the browser, and to the clock: a machine that slept does not always say so.
 *
 * @param ontick called every few seconds
 * @returns ends it
 */
export function watchSurroundings(
  { onwake, onoffline, onleave }: Surroundings,
  ontick: () => void,
): () => void {
  let tickedAtMs = Date.now()
  const ticking = setInterval(() => {
    const slept = Date.now() - tickedAtMs > SLEEP_MS
    tickedAtMs = Date.now()
    if (slept) onwake()
    else ontick()
  }, TICK_MS)
  if (typeof window === 'undefined' || typeof document === 'undefined') {
    return () => clearInterval(ticking)
  }
  const onvisibility = (): void => {
    if (document.visibilityState === 'visible') onwake()
  }
  window.addEventListener('online', onwake)
  window.addEventListener('offline', onoffline)
  window.addEventListener('pagehide', onleave)
  window.addEventListener('pageshow', onwake)
  document.addEventListener('visibilitychange', onvisibility)
  return () => {
    clearInterval(ticking)
    window.removeEventListener('online', onwake)
    window.removeEventListener('offline', onoffline)
    window.removeEventListener('pagehide', onleave)
    window.removeEventListener('pageshow', onwake)
    document.removeEventListener('visibilitychange', onvisibility)
  }
}

/** Whether the browser is sure that there is no network. */
export function isOffline(): boolean {
  return typeof navigator !== 'undefined' && navigator.onLine === false
}
