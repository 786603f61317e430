// node report.mjs PAGE PICTURE [ADDRESS SECTION]: takes a picture of the upper part of a report's
// page or, at an address within it, of one of its sections. PLAYWRIGHT is a folder whose node_modules has
// playwright-core; CHROMIUM is a browser, /usr/bin/chromium if it is not set.
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [, , file, picture, address = '', section = ''] = process.argv;
const require = createRequire(path.join(path.resolve(process.env.PLAYWRIGHT), 'index.js'));
const { chromium } = require('playwright-core');
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});
const page = await browser.newPage({ viewport: { width: 1240, height: 890 }, colorScheme: 'light' });
await page.goto(pathToFileURL(path.resolve(file)).href + address);
await page.waitForTimeout(1500);
if (section) {
  // The headline, which stays in view, would cover the section's beginning.
  await page.addStyleTag({ content: 'header { position: static !important; }' });
  await page.locator(section).screenshot({ path: picture });
} else {
  await page.screenshot({ path: picture });
}
await browser.close();
