import { quote, quotedTable } from '../connectors/postgres/catalogue.ts';
import type { CollectSettings } from './arguments.ts';
import { isExactNumber, type JsonRecord } from './record.ts';

/** The statement that makes a table for records such as this one; without a record, for its key. */
export function newTable(
  { table, key, columns }: Pick<CollectSettings, 'table' | 'key' | 'columns'>,
  record: JsonRecord | undefined,
): string {
  const fields = columns ?? (record ? Object.keys(record) : key);
  const wanted = [...new Set([...key, ...fields])].map(
    (field) => `${quote(field)} ${typeOf(record?.[field], key.includes(field))}`,
  );
  const more = record === undefined && columns === undefined ? ', …' : '';
  const primary = `PRIMARY KEY (${key.map(quote).join(', ')})`;
  return `CREATE TABLE ${quotedTable('--table', table)} (${wanted.join(', ')}${more}, ${primary})`;
}

const date = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?)?$/;

/** A type that takes values such as this one. Of numbers, only those of keys are taken for whole ones. */
function typeOf(value: unknown, isKey: boolean): string {
  if (typeof value === 'bigint' || (isKey && Number.isInteger(value))) return 'bigint';
  if (typeof value === 'number' || isExactNumber(value)) return 'numeric';
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'object' && value !== null) return 'jsonb';
  if (typeof value !== 'string' || !date.test(value)) return 'text';
  return value.length === 10 ? 'date' : 'timestamptz';
}
