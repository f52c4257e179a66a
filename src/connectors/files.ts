export { CheckpointError, FileBrokenError, FileRecordError } from '../errors.ts';
export type { Compression, FileInput } from './files/Bytes.ts';
export { fromCsv, type CsvType, type FromCsvOptions } from './files/csv.ts';
export type { CsvField } from './files/CsvReader.ts';
export { fileCheckpoint, type FileCheckpoint, type FileCheckpointOptions } from './files/FileCheckpoint.ts';
export { fromGlob, type FromGlobOptions } from './files/glob.ts';
export type { FilePosition } from './files/LineReader.ts';
export { fromLines, fromNdjson } from './files/lines.ts';
export type { BadRecord, FileSourceOptions, OnBadRecord } from './files/records.ts';
