namespace Diffusion.Gpu.Kernels.Weights;

/// <summary>Writes a whole file or nothing: a reader never sees half of it, a failure leaves the previous file untouched.</summary>
public static class AtomicFile
{
    /// <summary>Writes beside the target, flushes to the disk and renames over it.</summary>
    /// <param name="path">The file to create or replace; its folder must exist.</param>
    /// <param name="write">Writes the content to the stream it is given; the stream can seek.</param>
    /// <exception cref="IOException">The file cannot be written: the disk is full, the folder is missing or read-only.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(write);
        string partial = path + ".partial";
        bool created = false;
        try
        {
            using (var stream = new FileStream(partial, FileMode.Create, FileAccess.ReadWrite, FileShare.None, 1 << 16))
            {
                created = true;
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(partial, path, overwrite: true);
        }
        catch (Exception error)
        {
            if (created)
            {
                Discard(partial);
            }

            if (error is UnauthorizedAccessException or IOException and not WeightsException)
            {
                throw new IOException(
                    $"{path}: cannot be written ({error.Message.TrimEnd('.')}); nothing was changed: "
                    + "free disk space, or choose an existing folder that you may write to", error);
            }

            throw;
        }
    }

    private static void Discard(string partial)
    {
        try
        {
            File.Delete(partial);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The error that is already on its way says more than this one.
        }
    }
}
