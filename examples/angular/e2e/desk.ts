import { existsSync } from 'node:fs';
import { chromium, type Browser, type BrowserContextOptions, type Locator, type Page } from 'playwright';

/** Debian's Chromium; the driver downloads nothing. */
export function launchChromium(): Promise<Browser> {
  const executablePath = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';
  if (!existsSync(executablePath)) {
    throw new Error(
      `The browser tests need Chromium at ${executablePath}: install it, or set CHROMIUM_PATH.`,
    );
  }
  return chromium.launch({
    executablePath,
    timeout: 120_000,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** The desk in a browser, as its user sees it. */
export class Desk {
  readonly page: Page;
  /** Warnings and errors on the console, and what nobody caught. */
  readonly complaints: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      if (!['error', 'warning'].includes(message.type())) return;
      // The browser itself logs each refusal of the API; that they are met with a retry is what the tests look at.
      if (/^Failed to load resource: .* status of 503/.test(message.text())) return;
      this.complaints.push(message.text());
    });
  }

  static watch(page: Page): Desk {
    return new Desk(page);
  }

  static async open(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Desk> {
    const page = await browser.newPage(options);
    const desk = Desk.watch(page);
    await page.goto(url, { waitUntil: 'networkidle' });
    return desk;
  }

  button(name: string): Locator {
    return this.page.getByRole('button', { name });
  }

  async setConcurrency(concurrency: number): Promise<void> {
    await this.page.getByRole('slider').fill(String(concurrency));
  }

  /** Waits until the desk says `state`. */
  async says(state: string): Promise<void> {
    await this.page.getByRole('status').getByText(state, { exact: true }).waitFor();
  }

  /** Size of the pool in use. */
  async poolSize(): Promise<number> {
    return Number(await this.page.locator('[data-pool]').getAttribute('data-pool'));
  }

  async figure(name: 'todo' | 'queued' | 'inFlight' | 'fetched' | 'retried'): Promise<number> {
    return Number(await this.page.locator(`[data-figure="${name}"]`).textContent());
  }

  /** The numbers of the orders in the table. */
  async orders(): Promise<number[]> {
    const cells = await this.page.locator('.orders tbody a').allTextContents();
    return cells.map((text) => Number(text.replace('#', '')));
  }

  async deadLetters(): Promise<number[]> {
    const cells = await this.page.locator('.dead li b').allTextContents();
    return cells.map((text) => Number(text.replace('#', '')));
  }
}
