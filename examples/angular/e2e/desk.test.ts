import type { Browser } from 'playwright';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Desk, launchChromium } from './desk.ts';
import { ShopServer, type Build } from './shop-server.ts';

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
const ascending = (numbers: number[]): number[] => numbers.toSorted((a, b) => a - b);
const onceEach = Object.fromEntries(upTo(200).map((id) => [id, 1]));

/** For a machine that has more to do. */
const patience = { timeout: 10_000 };

let browser: Browser;
let shop: ShopServer;
let desk: Desk;

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(async () => {
  await browser.close();
});
afterEach(async () => {
  await desk.page.close();
  await expect.poll(async () => (await shop.traffic()).inFlight, patience).toBe(0);
  expect(desk.complaints).toEqual([]);
});

// The development build has Angular's own checks, which the production build leaves out.
describe.each<Build>(['development', 'production'])('the %s build', (build) => {
  beforeAll(async () => {
    shop = await ShopServer.start(build);
    return () => shop[Symbol.asyncDispose]();
  });

  test('fetches 200 orders, each exactly once, with retries and dead letters tried again', async () => {
    await shop.reset(10);
    desk = await Desk.open(browser, shop.origin);
    await desk.setConcurrency(6);
    await desk.button('Start').click();
    await desk.says('Done');

    expect(ascending(await desk.deadLetters())).toEqual([40, 80, 120, 160, 200]);
    expect(await desk.figure('retried')).toBe(5 * 2 + 22); // every ninth order once, but for number 0 and those
    await desk.button('Try again').click();
    await desk.page.locator('[data-figure="fetched"]').getByText('200', { exact: true }).waitFor();
    await desk.says('Done');

    expect(ascending(await desk.orders())).toEqual(upTo(200));
    expect(await desk.deadLetters()).toEqual([]);
    expect(await desk.figure('todo')).toBe(0);
    const { peak, ...seen } = await shop.traffic();
    expect(seen).toMatchObject({ inFlight: 0, aborted: 0, handedOut: onceEach });
    expect(peak).toBeLessThanOrEqual(6);
  });
});

describe('the desk', () => {
  beforeAll(async () => {
    shop = await ShopServer.start('development');
    return () => shop[Symbol.asyncDispose]();
  });

  test('never has more requests in flight than the slider says', async () => {
    const forever = 600_000;
    await shop.reset(forever);
    desk = await Desk.open(browser, shop.origin);
    await desk.button('Start').click();
    for (const concurrency of [5, 1, 4, 2]) {
      await desk.setConcurrency(concurrency);
      const poolSize = async (): Promise<number> => {
        await shop.release();
        return desk.poolSize();
      };
      await expect.poll(poolSize, patience).toBe(concurrency);
      await shop.reset(forever);
      for (let round = 1; round <= 3; round++) {
        await expect.poll(async () => (await shop.traffic()).inFlight, patience).toBe(concurrency);
        await shop.release();
      }
      expect((await shop.traffic()).peak).toBe(concurrency);
    }
    expect(await desk.figure('todo')).toBeGreaterThan(0);
  });

  test('asks for no more than it has room for', async () => {
    await shop.reset(60_000);
    desk = await Desk.open(browser, shop.origin);
    await desk.button('Start').click();
    await expect.poll(async () => (await shop.traffic()).inFlight, patience).toBe(3);
    await expect.poll(() => desk.figure('queued'), patience).toBe(6);
    expect(await desk.figure('inFlight')).toBe(3);
    expect(await desk.figure('todo')).toBe(200 - 3 - 6);
    expect((await shop.traffic()).started).toBe(3);
  });

  test('drains when it is stopped, and goes on where it was', async () => {
    // Answers come when they are released, so that the line is not empty before the test has looked.
    await shop.reset(600_000);
    desk = await Desk.open(browser, shop.origin);
    await desk.setConcurrency(6);
    await desk.button('Start').click();
    const fetched = async (): Promise<number> => {
      await shop.release();
      return desk.figure('fetched');
    };
    await expect.poll(fetched, patience).toBeGreaterThan(10);
    await desk.button('Stop').click();
    const isStopped = async (): Promise<boolean> => {
      await shop.release();
      return desk.page.getByRole('status').getByText('Stopped', { exact: true }).isVisible();
    };
    await expect.poll(isStopped, patience).toBe(true);

    const orders = await desk.orders();
    const dead = await desk.deadLetters();
    const { inFlight, aborted, handedOut } = await shop.traffic();
    expect({ inFlight, aborted }).toEqual({ inFlight: 0, aborted: 0 });
    expect(ascending(orders)).toEqual(ascending(Object.keys(handedOut).map(Number)));
    expect(orders.length + dead.length + (await desk.figure('todo'))).toBe(200);
    expect(await desk.figure('todo')).toBeGreaterThan(100);

    await shop.reset(5);
    await desk.button('Go on').click();
    await desk.says('Done');
    const all = [...(await desk.orders()), ...(await desk.deadLetters())];
    expect(ascending(all)).toEqual(upTo(200));
    const again = (await shop.traffic()).handedOut;
    expect(orders.filter((id) => id in again)).toEqual([]);
  });

  test('aborts its requests when the view goes', async () => {
    await shop.reset(10);
    desk = await Desk.open(browser, `${shop.origin}/orders/3`);
    await desk.page.getByRole('link', { name: 'Back to the desk' }).click();
    await desk.button('Start').waitFor();
    await shop.reset(60_000);
    await desk.button('Start').click();
    await expect.poll(async () => (await shop.traffic()).inFlight, patience).toBe(3);
    await shop.reset(10);
    await desk.page.goBack();
    await desk.page.getByRole('heading', { name: 'Order #3' }).waitFor();
    await expect.poll(async () => (await shop.traffic()).inFlight, patience).toBe(0);
    const { aborted, handedOut } = await shop.traffic();
    expect(aborted).toBe(3);
    expect(Object.keys(handedOut)).toEqual(['3']); // by the order's own page
  });

  test('starts by itself once the page has settled, so that hydration is not held up', async () => {
    await shop.reset(60_000);
    const page = await browser.newPage();
    await page.clock.install();
    desk = Desk.watch(page);
    await page.goto(`${shop.origin}/?start`);
    await expect.poll(async () => (await shop.traffic()).inFlight, patience).toBe(3);
    await page.clock.runFor(15_000); // Angular complains (NG0506) where the page has not settled after 10 s
    expect(await desk.figure('fetched')).toBe(0);
  });

  test.each([360, 1280])('fits a window %i px wide', async (width) => {
    await shop.reset(5);
    desk = await Desk.open(browser, shop.origin, { viewport: { width, height: 800 } });
    await desk.button('Start').click();
    await expect.poll(() => desk.figure('fetched'), patience).toBeGreaterThan(20);
    const overflow = await desk.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
  });
});
