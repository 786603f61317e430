// node report.mjs PAGE PICTURE: takes a picture of the upper part of a report's page. PLAYWRIGHT is a folder
// whose node_modules has playwright-core; CHROMIUM is a browser, /usr/bin/chromium if it is not set.
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [, , file, picture] = process.argv;
const require = createRequire(path.join(path.resolve(process.env.PLAYWRIGHT), 'index.js'));
const { chromium } = require('playwright-core');
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});
const page = await browser.newPage({ viewport: { width: 1240, height: 890 }, colorScheme: 'light' });
await page.goto(pathToFileURL(path.resolve(file)).href);
await page.waitForTimeout(1500);
await page.screenshot({ path: picture });
await browser.close();
