// Starts a real PDS, and the directory of accounts (PLC) that it needs, on loopback: node start.mjs FOLDER VIEW
// FOLDER takes its files, VIEW is where it asks for app.bsky.*. Prints its address, and ends when stdin does.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { PDS } from '@atproto/pds'
import plc from '@did-plc/server'

const HOST = '127.0.0.1'
const [folder, view] = process.argv.slice(2)

// Both listen on every address of the machine; here on one that only the machine itself reaches.
const onLoopback = (app) => {
  const listen = app.listen.bind(app)
  app.listen = (port) => listen(port, HOST)
}

// The PDS writes its own address into every account, so it has to know its port before it listens.
const freePort = async () => {
  const server = createServer().listen(0, HOST)
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

const directory = plc.PlcServer.create({ db: plc.Database.mock(), port: 0 })
onLoopback(directory.app)
const { port: plcPort } = (await directory.start()).address()

const port = await freePort()
Object.assign(process.env, {
  PDS_HOSTNAME: 'localhost',
  PDS_PORT: String(port),
  PDS_DEV_MODE: 'true',
  PDS_DATA_DIRECTORY: folder,
  PDS_BLOBSTORE_DISK_LOCATION: join(folder, 'blobs'),
  PDS_DID_PLC_URL: `http://${HOST}:${plcPort}`,
  PDS_BSKY_APP_VIEW_URL: view,
  PDS_BSKY_APP_VIEW_DID: 'did:web:localhost',
  PDS_SERVICE_HANDLE_DOMAINS: '.test',
  PDS_INVITE_REQUIRED: 'false',
  PDS_DISABLE_SSRF_PROTECTION: 'true', // the view is on loopback
  PDS_RATE_LIMITS_ENABLED: 'true',
  PDS_JWT_SECRET: randomBytes(16).toString('hex'),
  PDS_DPOP_SECRET: randomBytes(32).toString('hex'),
  PDS_ADMIN_PASSWORD: randomBytes(16).toString('hex'),
  PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX: randomBytes(32).toString('hex'),
})
const pds = await PDS.fromEnv()
onLoopback(pds.app)
await pds.start()
console.log(`http://localhost:${port}`)

process.stdin.resume()
await once(process.stdin, 'end')
process.exit(0) // what it has is thrown away
