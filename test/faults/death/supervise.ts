import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundled } from '../house/bundle.ts';
import { allOnce, lostAndTwice, timesStored, type Stored } from '../house/stored.ts';
import { start, type Ended, type Program } from '../../integration/programs.ts';
import type { TestDatabase } from '../../integration/servers/postgres.ts';
import type { ImporterSettings } from './importer.ts';
import type { KillAt } from './killPoints.ts';
import { readLedger } from './Ledger.ts';

let importer: Promise<string> | undefined;

/** What an instance of the importer has said, by its first word. */
export function heard({ stdout }: Ended, word: string): Record<string, unknown> | undefined {
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>).find(({ said }) => said === word);
}

/** What has come of all the items, by the table and by the ledger. */
export interface Verdict extends Stored {
  /** Told to be stored, and not in the table. */
  readonly falselyConfirmed: number;
  /** In the table, and never worked on. */
  readonly fromNowhere: number;
  /** Times that work was begun beyond the first, for all items together. */
  readonly workedAgain: number;
}

/** No item lost, none twice, and the ledger agrees. */
export const clean = { ...allOnce, falselyConfirmed: 0, fromNowhere: 0 };

/** One import: its table, its ledger, and the lives of the processes that work on it. */
export class Import {
  static #count = 0;
  readonly #database: TestDatabase;
  readonly #folder = mkdtempSync(join(tmpdir(), 'sluice-import-'));
  readonly #settings: ImporterSettings;

  readonly #importer: string;

  static async begin(
    database: TestDatabase,
    settings: Omit<ImporterSettings, 'connectionString' | 'table' | 'ledger'>,
  ): Promise<Import> {
    importer ??= bundled(fileURLToPath(new URL('importer.ts', import.meta.url)));
    const made = new Import(await importer, database, settings);
    await database.admin.query(`CREATE TABLE ${made.#settings.table} (item int)`);
    return made;
  }

  private constructor(
    program: string,
    database: TestDatabase,
    settings: Omit<ImporterSettings, 'connectionString' | 'table' | 'ledger'>,
  ) {
    this.#importer = program;
    this.#database = database;
    const { connectionString } = database;
    const ledger = join(this.#folder, 'ledger');
    this.#settings = { connectionString, ledger, table: `items_${++Import.#count}`, ...settings };
  }

  get ledgerBytes(): number {
    return statSync(this.#settings.ledger, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** Starts a process that works on it, and that gets the signal at that point. */
  start(settings: Partial<ImporterSettings> = {}, killAt?: KillAt, by: NodeJS.Signals = 'SIGKILL'): Program {
    return start(this.#importer, [JSON.stringify({ ...this.#settings, ...settings })], {
      env: { KILL_AT: killAt ?? '', KILL_BY: by },
      input: '',
    });
  }

  /** One life: resolves when the process has ended. */
  live(settings?: Partial<ImporterSettings>, killAt?: KillAt): Promise<Ended> {
    return this.start(settings, killAt).ended;
  }

  /** Resolves when the ledger is that long. */
  async reaches(ledgerBytes: number): Promise<void> {
    while (this.ledgerBytes < ledgerBytes) await new Promise((resolve) => setTimeout(resolve, 2));
  }

  /** Also what its connections call themselves. */
  get table(): string {
    return this.#settings.table;
  }

  async verdict(): Promise<Verdict> {
    const { table, ledger, items } = this.#settings;
    const stored = await timesStored(this.#database.admin, table);
    const { worked, confirmed } = readLedger(ledger);
    return {
      ...lostAndTwice(stored, items),
      falselyConfirmed: [...confirmed.keys()].filter((n) => !stored.has(n)).length,
      fromNowhere: [...stored.keys()].filter((n) => !worked.has(n)).length,
      workedAgain: [...worked.values()].reduce((total, times) => total + times - 1, 0),
    };
  }

  async end(): Promise<void> {
    rmSync(this.#folder, { recursive: true });
    await this.#database.admin.query(`DROP TABLE ${this.#settings.table}`);
  }
}
