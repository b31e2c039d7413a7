/**
 * How long to wait before an attempt: exponential backoff with full jitter.
 *
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 *
 * @param attempt attempts that failed before this one
 * @param baseMs bound of the first wait, milliseconds
 * @param capMs bound of every wait, milliseconds
 * @param random a number in [0, 1)
 */
export function backoffMs(attempt: number, baseMs: number, capMs: number, random: number): number {
  return random * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30))
}
