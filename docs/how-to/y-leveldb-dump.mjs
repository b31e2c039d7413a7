// Writes what a y-leveldb folder holds as lines of JSON: node y-leveldb-dump.mjs FOLDER > dump.ndjson
// Run it where y-leveldb is installed, while no server has the folder open.
import { existsSync } from 'node:fs'
import { LeveldbPersistence, getLevelUpdatesEntries } from 'y-leveldb'

const folder = process.argv[2]
if (!existsSync(`${folder}/CURRENT`)) { // LevelDB would make it, and the dump would be empty.
  console.error(`expected the folder of a y-leveldb, got ${folder}`)
  process.exit(1)
}
const persistence = new LeveldbPersistence(folder)
for (const name of await persistence.getAllDocNames()) {
  for (const { key, value } of await persistence._transact(db => getLevelUpdatesEntries(db, name))) {
    console.log(JSON.stringify({ key, value: Buffer.from(value).toString('base64') }))
  }
}
await persistence.destroy()
