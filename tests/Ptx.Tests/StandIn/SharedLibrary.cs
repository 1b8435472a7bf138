using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>A shared library for Linux on x64 whose functions jump to addresses that are filled in once it is loaded: managed methods under
/// the names of a native library, without a compiler.</summary>
/// <remarks>Two pages: code and symbols, which are read and executed, then the dynamic section and the addresses, which are written. The
/// loader needs no section headers.</remarks>
internal static unsafe class SharedLibrary
{
    private const int Page = 4096, SymbolBytes = 24, JumpBytes = 8, HeaderBytes = 64, SegmentBytes = 56, Segments = 4;

    /// <summary>Writes the library, loads it and fills the addresses in. Whoever asks for its name later is given this one.</summary>
    /// <param name="path">Of the file, which may be deleted afterwards.</param>
    /// <param name="name">What other code asks the loader for.</param>
    /// <param name="functions">Native code by name.</param>
    public static nint Load(string path, string name, IReadOnlyList<(string Name, nint Code)> functions)
    {
        File.WriteAllBytes(path, Image(name, [.. functions.Select(function => function.Name)], out int table));
        nint library = NativeLibrary.Load(path);
        // The first function's code lies where the image says; so do the addresses.
        nint first = NativeLibrary.GetExport(library, functions[0].Name);
        var addresses = (nint*)(first + table);
        for (int i = 0; i < functions.Count; i++)
            addresses[i] = functions[i].Code;
        return library;
    }

    /// <param name="table">Bytes from the first function to the addresses.</param>
    private static byte[] Image(string name, string[] functions, out int table)
    {
        var strings = new MemoryStream();
        strings.WriteByte(0);
        int At(string text)
        {
            int at = (int)strings.Length;
            strings.Write(Encoding.ASCII.GetBytes(text + "\0"));
            return at;
        }

        int count = functions.Length + 1, hash = HeaderBytes + (Segments * SegmentBytes), symbols = hash + Padded(4 * (3 + count), 8);
        int[] names = [.. functions.Select(At)];
        int soname = At(name), text = symbols + (count * SymbolBytes), code = Padded(text + (int)strings.Length, 16);
        int writable = Padded(code + (functions.Length * JumpBytes), Page), addresses = writable + (8 * 16);
        var image = new byte[addresses + (8 * functions.Length)];
        table = addresses - code;

        // One bucket, a chain of all symbols.
        Write32(image, hash, 1, count, functions.Length == 0 ? 0 : 1);
        for (int i = 1; i < count; i++)
        {
            Write32(image, hash + 12 + (4 * i), i + 1 < count ? i + 1 : 0);
            int symbol = symbols + (i * SymbolBytes), function = code + ((i - 1) * JumpBytes);
            Write32(image, symbol, names[i - 1]);
            image[symbol + 4] = 0x12; // global function
            image[symbol + 6] = 1; // defined
            Write64(image, symbol + 8, function, JumpBytes);
            // jmp [rip + distance]
            (image[function], image[function + 1]) = (0xFF, 0x25);
            Write32(image, function + 2, addresses + (8 * (i - 1)) - (function + 6));
        }
        strings.ToArray().CopyTo(image, text);
        const int Soname = 14, Hash = 4, Strings = 5, Symbols = 6, StringBytes = 10, BytesOfSymbol = 11;
        Write64(image, writable, Soname, soname, Hash, hash, Strings, text, Symbols, symbols, StringBytes, strings.Length, BytesOfSymbol,
            SymbolBytes, 0, 0);
        WriteHeaders(image, writable);
        return image;
    }

    private static void WriteHeaders(byte[] image, int writable)
    {
        const int Load = 1, Dynamic = 2, Stack = 0x6474E551, Execute = 1, ReadWrite = 6, Read = 4;
        byte[] start = [0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1];
        start.CopyTo(image, 0);
        (image[16], image[18], image[20]) = (3, 62, 1); // shared object, x86-64, version
        Write64(image, 24, 0, HeaderBytes, 0);
        (image[52], image[54], image[56]) = (HeaderBytes, SegmentBytes, Segments);
        (int Kind, int Flags, long First, long End, int Alignment)[] segments =
        [
            (Load, Read | Execute, 0, writable, Page),
            (Load, ReadWrite, writable, image.Length, Page),
            (Dynamic, ReadWrite, writable, writable + (7 * 16), 8),
            (Stack, ReadWrite, 0, 0, 16), // without it the loader wants a stack that can be executed
        ];
        for (int i = 0; i < segments.Length; i++)
        {
            var (kind, flags, first, end, alignment) = segments[i];
            int at = HeaderBytes + (i * SegmentBytes);
            Write32(image, at, kind, flags);
            Write64(image, at + 8, first, first, first, end - first, end - first, alignment);
        }
    }

    private static int Padded(int bytes, int alignment) => (bytes + alignment - 1) / alignment * alignment;

    private static void Write32(byte[] image, int at, params ReadOnlySpan<int> values)
    {
        for (int i = 0; i < values.Length; i++)
            BinaryPrimitives.WriteInt32LittleEndian(image.AsSpan(at + (4 * i)), values[i]);
    }

    private static void Write64(byte[] image, int at, params ReadOnlySpan<long> values)
    {
        for (int i = 0; i < values.Length; i++)
            BinaryPrimitives.WriteInt64LittleEndian(image.AsSpan(at + (8 * i)), values[i]);
    }
}
