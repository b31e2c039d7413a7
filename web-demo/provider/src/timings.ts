/** How long things take and wait, in milliseconds. */
export interface Timings {
  /** Bound of the first wait before reconnecting: 100. */
  backoffBaseMs: number
  /** Bound of every wait before reconnecting: 5,000, so that people do not wait for long. */
  backoffCapMs: number
  /** The least wait where the server asks for one: 2,000. */
  tryAgainMs: number
  /** A connection is dropped after so long without a sign of the server: 30,000; it gives one every 20,000. */
  silenceMs: number
  /** A server that is asked for a sign, as when the tab is shown, must give it within: 5,000. */
  probeMs: number
  /** A connection must be open after so long: 10,000. */
  openMs: number
  /** An event stream must have begun after so long, or else something holds it back: 4,000. */
  streamMs: number
  /** First wait until a WebSocket is tried again beside the fallback: 10,000; it doubles up to `climbCapMs`. */
  climbBaseMs: number
  /** Bound of that wait: 300,000. */
  climbCapMs: number
  /** First wait until a full document is sent anew what it refused: 5,000; it doubles up to `fullCapMs`. */
  fullMs: number
  /** Bound of that wait: 300,000. */
  fullCapMs: number
  /** Presence is sent at most this often: every 50. */
  presenceMs: number
  /** After so long without a server a document goes on with the other tabs of the browser: 500. */
  apartMs: number
}

export const TIMINGS: Readonly<Timings> = {
  backoffBaseMs: 100,
  backoffCapMs: 5_000,
  tryAgainMs: 2_000,
  silenceMs: 30_000,
  probeMs: 5_000,
  openMs: 10_000,
  streamMs: 4_000,
  climbBaseMs: 10_000,
  climbCapMs: 300_000,
  fullMs: 5_000,
  fullCapMs: 300_000,
  presenceMs: 50,
  apartMs: 500,
}
