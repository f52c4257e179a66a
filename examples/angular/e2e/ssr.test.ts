import type { Browser } from 'playwright';
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
