import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { openDatabase } from '../../../examples/support/embeddedPostgres.ts';

export interface TestDatabase {
  /** For connections whose tables are this test's own. */
  readonly connectionString: string;
  /** A connection besides those under test, to prepare and to look. */
  readonly admin: pg.Client;
  stop(): Promise<void>;
}

/** A schema of its own in the database of `DATABASE_URL`, or in one that is started for the test. */
export async function openTestDatabase(): Promise<TestDatabase> {
  const database = await openDatabase({ fsync: false });
  const schema = `sluice_test_${randomBytes(4).toString('hex')}`;
  const url = new URL(database.connectionString);
  url.searchParams.set('options', `-c search_path=${schema}`);
  const admin = new pg.Client(url.href);
  await admin.connect();
  await admin.query(`CREATE SCHEMA ${schema}`);
  return {
    connectionString: url.href,
    admin,
    stop: async () => {
      await admin.query(`DROP SCHEMA ${schema} CASCADE`);
      await admin.end();
      await database.stop();
    },
  };
}
