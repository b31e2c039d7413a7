const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' })

/** A time in words, seen from now. */
export function ago(timeMs: number): string {
  const seconds = Math.max(0, (Date.now() - timeMs) / 1_000)
  if (seconds < 60) return 'just now'
  const minutes = seconds / 60
  if (minutes < 60) return relative.format(-Math.floor(minutes), 'minute')
  const hours = minutes / 60
  if (hours < 24) return relative.format(-Math.floor(hours), 'hour')
  const days = hours / 24
  if (days < 30) return relative.format(-Math.floor(days), 'day')
  return new Date(timeMs).toLocaleDateString('en', { dateStyle: 'medium' })
}
