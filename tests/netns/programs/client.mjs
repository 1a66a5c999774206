// SPDX-License-Identifier: Apache-2.0
//
// node client.mjs ADDRESS PORT NAME CA PATH - gets https://NAME:PORT/PATH twice on one HTTP/1.1 connection, then twice at
// once on one HTTP/2 connection, both to ADDRESS. Prints for each the version and the body's SHA-256.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';

const [address, port, name, caPath, path] = process.argv.slice(2);
const ca = readFileSync(caPath);

async function digest(version, stream) {
	const hash = createHash('sha256');
	for await (const piece of stream)
		hash.update(piece);
	console.log(`${version} ${hash.digest('hex')}`);
}

function get(agent) {
	const options = { host: address, port, servername: name, path, ca, agent, headers: { host: name } };
	return new Promise((resolve, reject) => https.get(options, resolve).on('error', reject));
}

const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
for (let i = 0; i < 2; i++) {
	const answer = await get(agent);
	await digest(`HTTP/${answer.httpVersion}`, answer);
}
agent.destroy();

const host = address.includes(':') ? `[${address}]` : address;
const session = http2.connect(`https://${host}:${port}`, { ca, servername: name });
const request = () => digest('HTTP/2.0', session.request({ ':path': path, ':authority': name }));
await Promise.all([request(), request()]);
session.close();
