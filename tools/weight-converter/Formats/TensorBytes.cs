using System.Runtime.InteropServices;
using Diffusion.Gpu.Kernels.Weights;
using Microsoft.Win32.SafeHandles;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>Writes a tensor's elements in row-major order, however it lies in its storage: block by block where its elements follow each
/// other, gathered from a copy of what it spans where they do not.</summary>
/// <param name="path">The file, for messages.</param>
/// <param name="file">The open file.</param>
internal sealed unsafe class TensorBytes(string path, SafeFileHandle file)
{
    private const int BlockBytes = 1 << 20;
    private const long SmallSpan = 16 << 20;

    /// <summary>Writes a tensor.</summary>
    /// <param name="storage">Where in the file its storage begins, in bytes.</param>
    /// <param name="tensor">Checked to lie within its storage.</param>
    /// <param name="destination">Receives the elements.</param>
    public void Copy(long storage, TorchTensor tensor, Stream destination)
    {
        int size = tensor.Type.Size;
        long start = storage + (tensor.Offset * size);
        if (tensor.Count == 0)
            return;
        if (IsContiguous(tensor))
            Copy(start, tensor.Count * size, destination.Write);
        else
            Gather(start, tensor, destination);
    }

    /// <summary>Reads a part of the file in blocks.</summary>
    public void Copy(long start, long length, ReadOnlySpanAction write)
    {
        var block = new byte[(int)Math.Min(BlockBytes, length)];
        for (long done = 0; done < length;)
        {
            var part = block.AsSpan(0, (int)Math.Min(block.Length, length - done));
            FileBytes.Read(path, file, part, start + done);
            write(part);
            done += part.Length;
        }
    }

    /// <summary>Whether the elements follow each other in row-major order.</summary>
    public static bool IsContiguous(TorchTensor tensor)
    {
        long expected = 1;
        for (int axis = tensor.Shape.Length - 1; axis >= 0; axis--)
        {
            if (tensor.Shape[axis] != 1 && tensor.Strides[axis] != expected)
                return false;
            expected *= tensor.Shape[axis];
        }
        return true;
    }

    private void Gather(long start, TorchTensor tensor, Stream destination)
    {
        int size = tensor.Type.Size;
        long span = 1;
        for (int axis = 0; axis < tensor.Shape.Length; axis++)
            span += (tensor.Shape[axis] - 1L) * tensor.Strides[axis];
        span *= size;
        if (span > Math.Max(SmallSpan, 4 * tensor.Count * size))
        {
            // A few elements far apart: each is fetched by itself.
            Walk(tensor, destination, (offset, element) => FileBytes.Read(path, file, element, start + (offset * size)));
            return;
        }
        byte* copy = (byte*)NativeMemory.Alloc((nuint)span);
        try
        {
            for (long done = 0; done < span; done += BlockBytes)
                FileBytes.Read(path, file, new Span<byte>(copy + done, (int)Math.Min(BlockBytes, span - done)), start + done);
            Walk(tensor, destination, (offset, element) => new ReadOnlySpan<byte>(copy + (offset * size), size).CopyTo(element));
        }
        finally
        {
            NativeMemory.Free(copy);
        }
    }

    /// <summary>Visits the elements in row-major order.</summary>
    private static void Walk(TorchTensor tensor, Stream destination, FetchElement fetch)
    {
        int size = tensor.Type.Size, rank = tensor.Shape.Length;
        var index = new int[rank];
        var block = new byte[BlockBytes];
        int filled = 0;
        long offset = 0;
        for (long i = 0; i < tensor.Count; i++)
        {
            fetch(offset, block.AsSpan(filled, size));
            filled += size;
            if (filled == block.Length || i == tensor.Count - 1)
            {
                destination.Write(block.AsSpan(0, filled));
                filled = 0;
            }
            for (int axis = rank - 1; axis >= 0; axis--)
            {
                offset += tensor.Strides[axis];
                if (++index[axis] < tensor.Shape[axis])
                    break;
                offset -= tensor.Strides[axis] * tensor.Shape[axis];
                index[axis] = 0;
            }
        }
    }

    /// <summary>Takes a block of bytes.</summary>
    public delegate void ReadOnlySpanAction(ReadOnlySpan<byte> bytes);

    private delegate void FetchElement(long offset, Span<byte> element);
}
