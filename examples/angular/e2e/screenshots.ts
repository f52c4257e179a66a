// Takes the pictures of the README, in the middle of a run: `npm run screenshots`. Look at them before they are committed.
import { fileURLToPath } from 'node:url';
import { Desk, launchChromium } from './desk.ts';
import { ShopServer } from './shop-server.ts';

const pictures = [
  { name: 'light', width: 1100, height: 820, colorScheme: 'light' },
  { name: 'dark', width: 1100, height: 820, colorScheme: 'dark' },
  { name: 'narrow', width: 390, height: 844, colorScheme: 'light' },
  { name: 'narrow-dark', width: 390, height: 844, colorScheme: 'dark' },
] as const;

await using shop = await ShopServer.start('production');
const browser = await launchChromium();
for (const { name, width, height, colorScheme } of pictures) {
  await shop.reset(60);
  const desk = await Desk.open(browser, shop.origin, { viewport: { width, height }, colorScheme });
  await desk.setConcurrency(4);
  await desk.button('Start').click();
  await desk.page.locator('.dead li').nth(1).waitFor();
  await desk.page.locator('.workers .waits').first().waitFor();
  await desk.page.screenshot({ path: fileURLToPath(new URL(`../screenshots/${name}.png`, import.meta.url)) });
  await desk.page.close();
}
await browser.close();
