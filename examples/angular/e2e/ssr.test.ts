import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { linesOf } from '../src/api/shop.ts';
import { Desk, launchChromium } from './desk.ts';
import { ShopServer } from './shop-server.ts';

let shop: ShopServer;
let browser: Browser;

beforeAll(async () => {
  browser = await launchChromium();
  shop = await ShopServer.start('production');
});
afterAll(async () => {
  await shop[Symbol.asyncDispose]();
  await browser.close();
});
beforeEach(() => shop.reset(20));

const textOf = async (path: string): Promise<string> =>
  (await (await fetch(`${shop.origin}${path}`)).text()).replace(/<!--.*?-->/g, '').replace(/<[^>]+>/g, ' ');

test('the server sends the desk without starting its flow, however slow the API is', async () => {
  await shop.reset(60_000);
  const text = await textOf('/?start');
  expect(text).toContain('Ready');
  expect(text).toContain('No orders yet.');
  expect((await shop.traffic()).started).toBe(0);
});

test('the server runs the flow of a resource to its end, and sends the page with all of it', async () => {
  const text = await textOf('/orders/7');
  const lines = linesOf(7);
  expect(lines).toHaveLength(5);
  for (const { quantity, article } of lines) expect(text).toContain(`${quantity} × ${article}`);
  expect(await shop.traffic()).toMatchObject({ started: 1 + 5, inFlight: 0, aborted: 0 });
});

test('the server waits through a retry', async () => {
  const text = await textOf('/orders/9'); // refused once
  expect(text).toContain('Order #9');
  for (const { quantity, article } of linesOf(9)) expect(text).toContain(`${quantity} × ${article}`);
  expect(await shop.traffic()).toMatchObject({ started: 2 + linesOf(9).length, inFlight: 0 });
});

test('the browser takes over the page of a resource without asking again', async () => {
  const desk = await Desk.open(browser, `${shop.origin}/orders/7`);
  await desk.page.getByRole('heading', { name: 'Order #7' }).waitFor();
  expect((await shop.traffic()).started).toBe(1 + 5);
  expect(desk.complaints).toEqual([]);
  await desk.page.close();
});

/** Keeps the code of pages from coming until it is let through; the files that were asked for. */
async function holdCode(page: Page) {
  const asked: string[] = [];
  let letThrough = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    letThrough = resolve;
  });
  await page.route(/\/chunk-[^/]*\.js$/, async (route) => {
    asked.push(new URL(route.request().url()).pathname.slice(1));
    await released;
    await route.continue();
  });
  return { asked, letThrough };
}

test.each([
  { path: '/', title: 'Order desk', shown: '.controls' },
  { path: '/orders/7', title: 'Order', shown: 'h1' },
])('the page of the server at $path stays until its code has come', async ({ path, title, shown }) => {
  const page = await browser.newPage();
  const desk = Desk.watch(page);
  const code = await holdCode(page);
  const response = await page.goto(`${shop.origin}${path}`, { waitUntil: 'commit' });
  const preloads = [
    ...((await response?.text()) ?? '').matchAll(/<link rel="modulepreload" href="([^"]+)"/g),
  ];
  await page.locator('app-root:not([ngh])').waitFor(); // the app has started, and waits for its page
  expect(await page.title()).toBe(title);
  expect(code.asked.toSorted()).toEqual(preloads.map(([, file]) => file).toSorted());
  expect(code.asked).toHaveLength(2); // the page, and what the pages share: sluice

  const server = await page.locator(shown).evaluateHandle((element) => {
    const seen = { element, gone: false };
    new MutationObserver(() => (seen.gone ||= !element.isConnected)).observe(document, {
      childList: true,
      subtree: true,
    });
    return seen;
  });
  code.letThrough();
  await page.waitForLoadState('networkidle');
  await page.locator('[ngh]').first().waitFor({ state: 'detached' });
  expect(await server.evaluate(({ element, gone }) => ({ connected: element.isConnected, gone }))).toEqual({
    connected: true,
    gone: false,
  });
  expect(await page.locator(shown).count()).toBe(1);
  expect(await page.title()).toBe(title);
  expect(desk.complaints).toEqual([]);
  await page.close();
});

test('a page is fetched when it is asked for, and the page before stays until then', async () => {
  const desk = await Desk.open(browser, `${shop.origin}/orders/7`);
  const { page } = desk;
  const code = await holdCode(page);
  await page.getByRole('link', { name: 'Back to the desk' }).click();
  await expect.poll(() => code.asked).toHaveLength(1); // what the pages share is here already
  expect(await page.getByRole('heading', { name: 'Order #7' }).isVisible()).toBe(true);
  code.letThrough();
  await desk.button('Start').waitFor();
  expect(await page.getByRole('heading', { name: 'Order #7' }).count()).toBe(0);
  expect(await page.title()).toBe('Order desk');
  expect(desk.complaints).toEqual([]);
  await page.close();
});
