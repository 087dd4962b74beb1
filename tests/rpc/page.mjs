// The daemon's page in Chromium, used as people use it: clicked, typed at, dropped on, pasted into.
//
//   node page.mjs SERVER
//
// SERVER is a script: `start DIR PORT` starts a daemon whose RPC is at http://127.0.0.1:PORT/transmission/rpc and which downloads to
// DIR/down, and returns when it answers; `stop DIR` ends it. With PAGE=FILE that file stands in for the page that the daemon has, with
// the policy beside it (FILE.csp): so the page can be tried on any daemon that speaks the RPC. Variables: NODE_MODULES (puppeteer-core,
// axe-core), CHROMIUM, PYTHON (one that has libtorrent), AUTH=user:password, SHOTS=directory for pictures, TORRENTS=1000.
//
// Everything stays on this machine. No step waits for a time, all wait for what they want to see.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';

const server = path.resolve(process.argv[2] ?? 'tests/rpc/server.sh');
const here = path.dirname(new URL(import.meta.url).pathname);
const modules = createRequire(path.join(path.resolve(process.env.NODE_MODULES ?? 'node_modules'), 'x.js'));
const puppeteer = modules('puppeteer-core');
const axe = fs.readFileSync(modules.resolve('axe-core/axe.min.js'), 'utf8');
const python = process.env.PYTHON ?? '/usr/bin/python3';
const auth = process.env.AUTH ?? '';
const many = Number(process.env.TORRENTS ?? 1000);
const shots = process.env.SHOTS;
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'bitwren-page-'));
const state = path.join(work, 'daemon');
const SECOND = 1000;

// ---- what is needed around the page

const lan = Object.values(os.networkInterfaces()).flat().find(a => a.family === 'IPv4' && !a.internal)?.address ?? '127.0.0.1';
async function freePort() {
  const probe = http.createServer();
  await new Promise(ready => probe.listen(0, '0.0.0.0', ready));
  const { port } = probe.address();
  await new Promise(done => probe.close(done));
  return port;
}

let token = '';
async function rpc(method, params = {}) {
  for (;;) {
    const headers = { 'X-Transmission-Session-Id': token, ...(auth ? { Authorization: 'Basic ' + Buffer.from(auth).toString('base64') } : {}) };
    const answer = await fetch(rpcUrl, { method: 'POST', headers, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }) });
    if (answer.status === 409) { token = answer.headers.get('X-Transmission-Session-Id'); continue; }
    const { result, error } = await answer.json();
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  }
}
const torrent = async (hash, ...fields) => (await rpc('torrent_get', { ids: [hash], fields })).torrents[0];
async function until(what, test) {
  for (let i = 0; i < Number(process.env.PATIENCE ?? 60) * 5; i++) {
    const value = await what();
    if (test(value)) return value;
    await new Promise(again => setTimeout(again, 200));
  }
  throw new Error('it never came');
}

function bencode(value) {
  if (Number.isInteger(value)) return Buffer.from(`i${value}e`);
  if (typeof value === 'string') value = Buffer.from(value);
  if (Buffer.isBuffer(value)) return Buffer.concat([Buffer.from(value.length + ':'), value]);
  if (Array.isArray(value)) return Buffer.concat([Buffer.from('l'), ...value.map(bencode), Buffer.from('e')]);
  return Buffer.concat([Buffer.from('d'), ...Object.keys(value).sort().flatMap(key => [bencode(key), bencode(value[key])]), Buffer.from('e')]);
}
/** A torrent of nothing that anybody has. */
const phantom = (name, length = 1 << 20) => bencode({ info: { name, length, 'piece length': 1 << 24, pieces: noise(name, 20 * Math.ceil(length / (1 << 24))) } });
/** Bytes that are the same in each run. */
function noise(seed, length) {
  const blocks = [];
  for (let i = 0; i * 20 < length; i++) blocks.push(createHash('sha1').update(`${seed} ${i}`).digest());
  return Buffer.concat(blocks).subarray(0, length);
}

// ---- a seed with two torrents, and a tracker that knows only the seed

const seedPort = await freePort(), trackerPort = await freePort(), port = await freePort();
const rpcUrl = `http://127.0.0.1:${port}/transmission/rpc`;
const tracker = http.createServer((request, answer) => {
  const peer = Buffer.from([...lan.split('.').map(Number), seedPort >> 8, seedPort & 255]);
  answer.end(bencode({ interval: 60, complete: 1, incomplete: 0, peers: peer }));
});
await new Promise(ready => tracker.listen(trackerPort, '0.0.0.0', ready));
const seeded = path.join(work, 'seeded');
const FILES = { 'show/film.bin': 3000000, 'show/extras/sleeve.bin': 200000, 'show/extras/unwanted.bin': 700000, 'pasted.bin': 500000 };
for (const [name, length] of Object.entries(FILES)) {
  fs.mkdirSync(path.dirname(path.join(seeded, name)), { recursive: true });
  fs.writeFileSync(path.join(seeded, name), noise(name, length));
}
const peer = path.join(here, '../foreign/peer.py');
const announce = `http://${lan}:${trackerPort}/announce`;
const make = name => execFileSync(python, [peer, 'make', path.join(work, name + '.torrent'), '32768', announce, path.join(seeded, name)], { encoding: 'utf8' }).trim();
const showHash = make('show'), pastedHash = make('pasted.bin');
const magnet = `magnet:?xt=urn:btih:${pastedHash}&dn=pasted.bin&tr=${encodeURIComponent(announce)}`;
const seed = spawn(python, [peer, 'run', lan, String(seedPort), seeded, path.join(work, 'show.torrent'), path.join(work, 'pasted.bin.torrent')], { stdio: ['ignore', 'pipe', 'ignore'] });
await new Promise(up => seed.stdout.once('data', up));

const daemon = command => execFileSync(server, command === 'start' ? ['start', state, String(port)] : ['stop', state], { env: { ...process.env, BIND: lan, WORK: work }, stdio: ['ignore', 'ignore', 'inherit'] });
fs.mkdirSync(state, { recursive: true });
daemon('start');

// ---- the browser

const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, protocolTimeout: 120 * SECOND,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', `--user-data-dir=${work}/chromium`] });
const errors = [], elsewhere = [];
async function newPage(width, height, scheme) {
  const page = await browser.newPage();
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }, { name: 'prefers-reduced-motion', value: 'reduce' }]);
  if (auth) await page.authenticate({ username: auth.split(':')[0], password: auth.split(':').slice(1).join(':') });
  page.setDefaultTimeout(Number(process.env.PATIENCE ?? 60) * SECOND);
  page.on('pageerror', error => errors.push(error.message));
  page.on('console', message => {
    // A request that fails is what the step about a lost daemon is for, and 409 is how a session begins.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) errors.push(message.text());
  });
  page.on('request', request => {
    const url = new URL(request.url());
    if (url.protocol !== 'data:' && url.origin !== new URL(rpcUrl).origin) elsewhere.push(request.url());
    if (url.protocol !== 'data:' && !/\/transmission\/(web\/|rpc)$/.test(url.pathname)) elsewhere.push(request.url());
  });
  if (process.env.PAGE) {
    await page.setRequestInterception(true);
    page.on('request', request => {
      if (!request.url().endsWith('/transmission/web/')) return request.continue();
      const policy = fs.readFileSync(process.env.PAGE.replace(/html$/, 'csp'), 'utf8').trim();
      request.respond({ status: 200, contentType: 'text/html; charset=utf-8', headers: { 'Content-Security-Policy': policy }, body: fs.readFileSync(process.env.PAGE) });
    });
  }
  const response = await page.goto(new URL('web/', rpcUrl).href, { waitUntil: 'domcontentloaded' });
  assert.equal(response.status(), 200);
  return page;
}

let passed = 0, failed = 0;
async function step(name, run) {
  try { await run(); passed++; console.log('PASS', name); }
  catch (error) { failed++; console.log('FAIL', name + ':', String(error.message ?? error).slice(0, 1500)); await shot('failed-' + failed).catch(() => {}); }
}
const shot = async (name, of = page) => { if (shots) await of.screenshot({ path: `${shots}/${name}.png` }); };
const sees = (text, of = page) => of.waitForFunction(text => document.body.innerText.includes(text), {}, text);
const gone = (selector, of = page) => of.waitForFunction(selector => !document.querySelector(selector), {}, selector);
const rowOf = name => page.waitForFunction(name => [...document.querySelectorAll('.row')].find(row => row.querySelector('.name').innerText === name), {}, name);
const click = async (selector, of = page) => { await (await of.waitForSelector(selector)).click(); };
/** Makes a row the only one that is chosen. */
const choose = async name => { await page.keyboard.press('Escape'); await page.keyboard.press('Escape'); await (await rowOf(name)).$('.tick').then(tick => tick.click()); await page.focus('#grid'); };
const button = async (text, of = page) => { await (await of.waitForSelector(`dialog ::-p-text(${text})`)).click(); };
/** Fills a field anew. */
async function fill(selector, text) {
  await page.waitForSelector(selector);
  await page.$eval(selector, field => { field.focus(); field.select(); });
  await page.keyboard.press('Backspace');
  await page.keyboard.type(text);
}
const submit = () => click('dialog button.main, dialog button.danger');

/** The page as axe-core sees it. It writes markup, which the page's own policy forbids: it runs in a world of its own. */
async function accessible(of = page) {
  const client = await of.createCDPSession();
  const { frameTree } = await client.send('Page.getFrameTree');
  const { executionContextId } = await client.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id });
  await client.send('Runtime.evaluate', { expression: axe, contextId: executionContextId });
  const expression = `axe.run(document, { resultTypes: ['violations'] }).then(r => JSON.stringify(r.violations.map(v => [v.id, v.impact, v.help, ...v.nodes.slice(0, 3).map(n => n.target.join(' ') + ' ' + n.failureSummary.replace(/\\s+/g, ' '))])))`;
  const answer = await client.send('Runtime.evaluate', { expression, contextId: executionContextId, awaitPromise: true, returnByValue: true });
  if (answer.exceptionDetails) throw new Error('axe: ' + answer.exceptionDetails.exception?.description);
  await client.detach();
  assert.deepEqual(JSON.parse(answer.result.value), []);
}

let page = await newPage(1200, 800, 'light');

await step('nothing is there, and it says what to do', async () => { await sees('No torrents yet'); await accessible(); await shot('empty'); });

await step('a magnet link pasted anywhere', async () => {
  await page.evaluate(link => {
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', 'look: ' + link);
    document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
  }, magnet);
  assert.equal(await page.$eval('dialog textarea', field => field.value), magnet);
  await accessible();
  await submit();
  await gone('dialog');
  await until(() => torrent(pastedHash, 'percent_done', 'total_size'), t => t.total_size === FILES['pasted.bin'] && t.percent_done === 1);
  await page.waitForFunction(() => [...document.querySelectorAll('.row')].some(row => row.innerText.includes('pasted.bin') && row.innerText.includes('Seeds')));
});

await step('a .torrent dropped, its files chosen, downloaded from libtorrent', async () => {
  const client = await page.createCDPSession();
  const data = { items: [], files: [path.join(work, 'show.torrent')], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop']) await client.send('Input.dispatchDragEvent', { type, x: 500, y: 400, data });
  await page.waitForSelector('dialog .tree');
  const box = name => page.waitForSelector(`dialog .tree label[title="${name}"] input`);
  await (await box('unwanted.bin')).click();
  assert.equal(await page.$eval('dialog .tree label[title="extras"] input', box => box.indeterminate), true);
  await page.select('dialog .tree select[aria-label="Priority of film.bin"]', '1');
  await fill('dialog input[list=used-labels]', 'films, <b>linux</b>');
  await accessible(); await shot('add');
  // Slowly, so that the peer can be seen.
  await rpc('session_set', { speed_limit_down: 200, speed_limit_down_enabled: true });
  await submit();
  await gone('dialog');
  await (await rowOf('show')).$('.name').then(name => name.click());
  await click('#tab-peers');
  await page.waitForFunction(address => document.querySelector('#panel tbody')?.innerText.includes(address), {}, `${lan}:${seedPort}`);
  await accessible(); await shot('peers');
  await rpc('session_set', { speed_limit_down_enabled: false });
  await click('#tab-overview');
  await until(() => torrent(showHash, 'left_until_done', 'size_when_done'), t => t?.left_until_done === 0);
  const t = await torrent(showHash, 'wanted', 'labels', 'size_when_done', 'files', 'file_stats');
  assert.deepEqual(t.labels, ['films', '<b>linux</b>']);
  // Whole pieces count, so a little more than the files may be wanted.
  const least = FILES['show/film.bin'] + FILES['show/extras/sleeve.bin'];
  assert.ok(t.size_when_done >= least && t.size_when_done < least + 100000, `${t.size_when_done} are wanted`);
  t.files.forEach((file, i) => assert.equal(t.file_stats[i].wanted, !file.name.includes('unwanted'), file.name));
  assert.equal(t.file_stats[t.files.findIndex(file => file.name.endsWith('film.bin'))].priority, 1);
  for (const name of ['show/film.bin', 'show/extras/sleeve.bin', 'pasted.bin']) assert.deepEqual(fs.readFileSync(path.join(state, 'down', name)), noise(name, FILES[name]), name);
});

await step('a name that is markup is text', async () => {
  const name = '<img src=x onerror=document.title=1> \u202egnp.exe';
  await rpc('torrent_add', { metainfo: phantom(name).toString('base64'), paused: true, labels: ['"><script>'] });
  await rpc('torrent_add', { metainfo: phantom('A long name that has to be cut somewhere, for there is not room enough on any screen for all of it (1080p).mkv', 4700000000).toString('base64'), paused: true });
  await sees('<img src=x');
  assert.equal(await page.$('main img, nav script'), null);
  await accessible();
});

await step('details: all parts, with the keyboard', async () => {
  await choose('show');
  await page.keyboard.press('Enter');
  await sees('Info-hash'); await sees(showHash);
  await page.waitForFunction(() => document.querySelector('#pieces').getAttribute('aria-label').startsWith('Pieces: 100%'));
  await accessible(); await shot('details');
  await page.keyboard.press('2');
  await page.waitForSelector('#panel .tree label[title="film.bin"]');
  await accessible(); await shot('files');
  await page.keyboard.press('3');
  await page.waitForFunction(() => document.querySelector('#panel').innerText.trim() !== '');
  await accessible();
  await page.keyboard.press('4'); await sees(announce); await accessible(); await shot('trackers');
  await page.keyboard.press('5'); await page.waitForSelector('#panel input[name=upload_limit]'); await accessible(); await shot('limits');
});

await step('limits of a torrent', async () => {
  await fill('#panel input[name=upload_limit]', '321');
  await click('#panel input[name=upload_limited]');
  await page.keyboard.press('Enter');
  await until(() => torrent(showHash, 'upload_limit', 'upload_limited'), t => t.upload_limit === 321 && t.upload_limited);
});

await step('files chosen afterwards, and their priorities', async () => {
  const unwanted = async () => { const t = await torrent(showHash, 'files', 'file_stats'); return t.file_stats[t.files.findIndex(file => file.name.includes('unwanted'))]; };
  await click('#tab-files');
  await page.waitForSelector('#panel .tree');
  await page.select('#panel .tree select[aria-label="Priority of unwanted.bin"]', '-1');
  await until(unwanted, file => file.priority === -1);
  await click('#panel .tree label[title="unwanted.bin"] input');
  await until(unwanted, file => file.wanted);
  await click('#panel .tree label[title="unwanted.bin"] input');
  await until(unwanted, file => !file.wanted);
});

await step('stop, check, start by keys', async () => {
  await choose('show');
  await page.keyboard.press('p');
  await until(() => torrent(showHash, 'status'), t => t.status === 0);
  await page.waitForFunction(() => [...document.querySelectorAll('.row')].some(row => row.innerText.includes('show') && row.innerText.includes('Complete')));
  await page.keyboard.press('v');
  await until(() => torrent(showHash, 'status', 'percent_done'), t => t.status === 0 && t.percent_done === 1);
  await page.keyboard.press('s');
  await until(() => torrent(showHash, 'status'), t => t.status === 6);
  await page.keyboard.press('n');
  await sees('for peers');
});

await step('labels', async () => {
  await page.keyboard.press('l');
  await fill('dialog input[list=used-labels]', 'films, kept');
  await accessible();
  await submit(); await gone('dialog');
  assert.deepEqual((await torrent(showHash, 'labels')).labels, ['films', 'kept']);
  await page.waitForFunction(() => [...document.querySelectorAll('#labels button')].some(label => label.innerText.includes('kept')));
});

await step('rename', async () => {
  await page.keyboard.press('r');
  await fill('dialog input', 'renamed');
  await submit(); await gone('dialog');
  await rowOf('renamed');
  assert.ok(fs.existsSync(path.join(state, 'down/renamed/film.bin')));
});

await step('move', async () => {
  await page.keyboard.press('m');
  await fill('dialog input[list=directories]', path.join(state, 'down/elsewhere'));
  await accessible();
  await submit(); await gone('dialog');
  await until(() => fs.existsSync(path.join(state, 'down/elsewhere/renamed/film.bin')), there => there);
});

await step('a mistake is said where it was made', async () => {
  await page.keyboard.press('m');
  await fill('dialog input[list=directories]', 'not/absolute');
  await submit();
  await page.waitForFunction(() => document.querySelector('dialog .bad').innerText.includes('absolute'));
  await shot('mistake');
  await page.keyboard.press('Escape');
  await gone('dialog');
});

await step('search, filters and order', async () => {
  const names = () => page.$$eval('.row .name', cells => cells.map(cell => cell.innerText));
  await page.keyboard.press('/'); await page.keyboard.type('paste');
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 1);
  assert.deepEqual(await names(), ['pasted.bin']);
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 4);
  await click('#states li:nth-child(5) button');
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 2);
  await click('#states li:nth-child(1) button');
  await click('#labels li:nth-child(2) button');
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 1);
  await click('#labels li:nth-child(2) button');
  await page.select('#sort', 'size');
  await page.waitForFunction(() => document.querySelector('.row .name').innerText.startsWith('A long'));
  await click('#order');
  await page.waitForFunction(() => document.querySelector('.row .name').innerText.startsWith('pasted'));
  await click('#heads [role=columnheader] button');
  await page.waitForFunction(() => document.querySelector('.row .name').innerText.startsWith('<img'));
});

await step('settings', async () => {
  await page.keyboard.press(',');
  await page.waitForSelector('dialog input[name=speed_limit_down]');
  await accessible(); await shot('settings');
  await fill('dialog input[name=speed_limit_down]', '4321');
  await click('dialog input[name=speed_limit_down_enabled]');
  await page.$eval('dialog input[name=alt_speed_time_begin]', field => { field.value = '07:30'; });
  await submit(); await gone('dialog');
  const now = await rpc('session_get', { fields: ['speed_limit_down', 'speed_limit_down_enabled', 'alt_speed_time_begin'] });
  assert.deepEqual(now, { speed_limit_down: 4321, speed_limit_down_enabled: true, alt_speed_time_begin: 450 });
  await page.focus('#grid');
  await page.keyboard.press('t');
  await until(() => rpc('session_get', { fields: ['alt_speed_enabled'] }), s => s.alt_speed_enabled);
  await page.keyboard.press('t');
  await until(() => rpc('session_get', { fields: ['alt_speed_enabled'] }), s => !s.alt_speed_enabled);
});

await step('help', async () => { await page.keyboard.press('?'); await sees('All runs'); await accessible(); await shot('help'); await page.keyboard.press('Escape'); await gone('dialog'); });

for (const scheme of ['light', 'dark']) {
  for (const [width, height] of [[1200, 800], [320, 640]]) {
    await step(`${width} px, ${scheme}: nothing is cut off, and it can be read`, async () => {
      const other = await newPage(width, height, scheme);
      await sees('renamed', other);
      assert.ok(await other.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'it is wider than the screen');
      await accessible(other); await shot(`list-${width}-${scheme}`, other);
      for (const [key, name] of [['a', 'add'], [',', 'settings'], ['?', 'help']]) {
        await other.keyboard.press(key);
        await other.waitForSelector('dialog');
        assert.ok(await other.evaluate(() => document.querySelector('dialog .body').scrollWidth <= document.querySelector('dialog .body').clientWidth), name + ' is wider than the screen');
        await accessible(other); await shot(`${name}-${width}-${scheme}`, other);
        await other.keyboard.press('Escape'); await gone('dialog', other);
      }
      await (await other.waitForSelector('.row:last-child .name')).click();
      for (const tab of ['overview', 'files', 'peers', 'trackers', 'limits']) {
        await click('#tab-' + tab, other);
        await other.waitForFunction(tab => document.querySelector('#panel').querySelector({ overview: 'dd', files: 'label, p', peers: 'p', trackers: 'li', limits: 'form' }[tab]), {}, tab);
        await accessible(other); await shot(`${tab}-${width}-${scheme}`, other);
      }
      await click('#b-close', other);
      await other.waitForSelector('#details', { hidden: true });
      await other.close();
    });
  }
}

await step('removed with its data, after it was asked', async () => {
  await page.bringToFront();
  await choose('renamed');
  await page.keyboard.press('Delete');
  await page.waitForSelector('dialog');
  assert.ok((await torrent(showHash, 'id')) !== undefined, 'it was not asked');
  await click('#remove-data');
  await accessible(); await shot('remove');
  assert.equal(await page.$eval('dialog button.danger', button => button.innerText), 'Remove and delete data');
  await submit(); await gone('dialog');
  await until(() => torrent(showHash, 'id'), t => t === undefined);
  await until(() => fs.existsSync(path.join(state, 'down/elsewhere/renamed')), there => !there);
  await page.waitForFunction(() => ![...document.querySelectorAll('.row .name')].some(name => name.innerText === 'renamed'));
});

await step('removed without its data', async () => {
  await choose('pasted.bin');
  await click('#act-remove');
  await page.waitForSelector('dialog');
  await submit(); await gone('dialog');
  await until(() => torrent(pastedHash, 'id'), t => t === undefined);
  assert.ok(fs.existsSync(path.join(state, 'down/pasted.bin')));
});

await step(`${many} torrents`, async () => {
  const before = (await rpc('torrent_get', { fields: ['id'] })).torrents.length;
  for (let i = 0; i < many; i++) await rpc('torrent_add', { metainfo: phantom(`Torrent number ${i}`, 1000000 + i * 1000).toString('base64'), paused: true });
  await page.waitForFunction(n => document.querySelector('#grid').getAttribute('aria-rowcount') === String(n + 1), {}, before + many);
  assert.ok((await page.$$('.row')).length < 100, 'rows out of sight are in the page');
  await page.focus('#grid');
  await page.keyboard.press('End');
  await rowOf(`Torrent number ${many - 1}`);
  const costs = await page.evaluate(async () => {
    const grid = document.querySelector('#grid'), frames = [], frame = () => new Promise(requestAnimationFrame);
    for (let i = 0; i < 120; i++) { const from = performance.now(); grid.scrollTop = i * 400; await frame(); frames.push(performance.now() - from); }
    frames.sort((a, b) => a - b);
    const from = performance.now();
    for (let i = 0; i < 20; i++) showAll();
    return { frame: frames[60], slowest: frames[118], redraw: (performance.now() - from) / 20 };
  });
  console.log(`     a frame of scrolling: median ${costs.frame.toFixed(1)} ms, 118th of 120 ${costs.slowest.toFixed(1)} ms; filtering, sorting, drawing all: ${costs.redraw.toFixed(1)} ms`);
  await page.keyboard.press('Home');
  await accessible(); await shot('many');
});

await step('a lost daemon is said, and found again', async () => {
  daemon('stop');
  await page.waitForFunction(() => !document.querySelector('#lost').hidden);
  await shot('lost');
  await until(() => fetch(rpcUrl).then(() => false, () => true), ended => ended);
  daemon('start');
  await page.waitForFunction(() => document.querySelector('#lost').hidden);
});

await step('no error in the page, none of its policy', async () => assert.deepEqual(errors, []));
await step('nothing was asked for but the page and the RPC', async () => assert.deepEqual(elsewhere, []));

await browser.close();
daemon('stop');
seed.kill();
tracker.close();
tracker.closeAllConnections();
fs.rmSync(work, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
