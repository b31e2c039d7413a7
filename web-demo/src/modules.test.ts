import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('.', import.meta.url))

/** The modules of the demo, by path, with those that each of them imports. */
function modules(): Map<string, string[]> {
  const files = readdirSync(ROOT, { encoding: 'utf8', recursive: true })
  const paths = files.filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
  return new Map(
    paths.map((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8')
      const imported = [...text.matchAll(/from '(\.[^']+)\.js'/g)].map(([, name]) => `${name}.ts`)
      return [path, imported.map((name) => join(dirname(path), name))]
    }),
  )
}

test('no module imports itself, by way of others', () => {
  const imports = modules()
  expect(imports.get('main.ts')).toBeDefined()
  const circles: string[][] = []
  const looked = new Set<string>()
  const look = (path: string, way: string[]): void => {
    if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path])
    if (looked.has(path)) return
    looked.add(path)
    for (const next of imports.get(path) ?? []) look(next, [...way, path])
  }
  for (const path of imports.keys()) look(path, [])
  expect(circles).toEqual([])
})
