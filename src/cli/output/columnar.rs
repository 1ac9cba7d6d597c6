//! Parquet and Arrow IPC.

use std::io::Write;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::FileWriter;
use arrow::record_batch::RecordBatch;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{OutputError, ResultWriter};

pub struct ParquetWriter<'w> {
    writer: parquet::arrow::ArrowWriter<Box<dyn Write + Send + 'w>>,
}

impl<'w> ParquetWriter<'w> {
    pub fn new(schema: SchemaRef, sink: Box<dyn Write + Send + 'w>) -> Result<Self, OutputError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let writer = parquet::arrow::ArrowWriter::try_new(sink, schema, Some(properties))?;
        Ok(Self { writer })
    }
}

impl ResultWriter for ParquetWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        Ok(self.writer.write(batch)?)
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.writer.finish()?;
        Ok(self.writer.inner_mut().flush()?)
    }
}

pub struct ArrowWriter<'w> {
    writer: FileWriter<Box<dyn Write + Send + 'w>>,
}

impl<'w> ArrowWriter<'w> {
    pub fn new(schema: &Schema, sink: Box<dyn Write + Send + 'w>) -> Result<Self, OutputError> {
        Ok(Self {
            writer: FileWriter::try_new(sink, schema)?,
        })
    }
}

impl ResultWriter for ArrowWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        Ok(self.writer.write(batch)?)
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.writer.finish()?;
        Ok(self.writer.get_mut().flush()?)
    }
}
