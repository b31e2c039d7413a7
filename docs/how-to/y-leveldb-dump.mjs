// Writes what a y-leveldb folder holds as lines of JSON: node y-leveldb-dump.mjs FOLDER > dump.ndjson
// Run it where y-leveldb is installed, while no server has the folder open.
import { LeveldbPersistence, getLevelUpdatesEntries } from 'y-leveldb'

const persistence = new LeveldbPersistence(process.argv[2])
for (const name of await persistence.getAllDocNames()) {
  for (const { key, value } of await persistence._transact(db => getLevelUpdatesEntries(db, name))) {
    console.log(JSON.stringify({ key, value: Buffer.from(value).toString('base64') }))
  }
}
await persistence.destroy()
