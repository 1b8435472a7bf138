namespace Diffusion.Gpu.Kernels.Images;

/// <summary>Reads bits and Huffman codes from entropy-coded JPEG data.</summary>
internal sealed class JpegBitReader(string name, byte[] bytes, int position)
{
    private ulong buffer;
    private int count;
    private int invented;

    /// <summary>Up to 16 bits, most significant first.</summary>
    public int Bits(int wanted)
    {
        if (count < wanted)
        {
            Fill();
        }

        count -= wanted;
        return (int)(buffer >> count) & ((1 << wanted) - 1);
    }

    /// <summary>A signed number of the given number of bits: the lower half of the codes is negative.</summary>
    public int Signed(int bits)
    {
        if (bits == 0)
        {
            return 0;
        }

        int value = Bits(bits);
        return value < 1 << (bits - 1) ? value - (1 << bits) + 1 : value;
    }

    /// <summary>The symbol of the next Huffman code.</summary>
    public int Symbol(JpegHuffmanTable table)
    {
        if (count < 16)
        {
            Fill();
        }

        int code = (int)(buffer >> (count - 16)) & 0xFFFF;
        var (symbol, length) = table.Find(code);
        count -= length;
        return length > 0 ? symbol : throw ImageFormatException.Damaged(name, "the JPEG data holds a code that does not exist");
    }

    /// <summary>Fails when more bits were taken than the data held.</summary>
    public void CheckEnd()
    {
        if (count < invented)
        {
            throw position >= bytes.Length
                ? ImageFormatException.CutShort(name, "JPEG")
                : ImageFormatException.Damaged(name, "the JPEG data ends before all blocks are decoded");
        }
    }

    /// <summary>Drops the rest of the byte and steps over a restart marker.</summary>
    public void Restart()
    {
        buffer = 0;
        count = invented = 0;
        while (position + 1 < bytes.Length && bytes[position] == 0xFF && bytes[position + 1] == 0xFF)
        {
            position++;
        }

        if (position + 1 >= bytes.Length || bytes[position] != 0xFF || bytes[position + 1] is < 0xD0 or > 0xD7)
        {
            throw ImageFormatException.Damaged(name, "a JPEG restart marker is missing");
        }

        position += 2;
    }

    /// <summary>Fills up to at least 48 bits; behind a marker with zeros, which <see cref="CheckEnd"/> counts.</summary>
    private void Fill()
    {
        while (count <= 48)
        {
            byte value = 0;
            bool isMarker = position >= bytes.Length
                || (bytes[position] == 0xFF && (position + 1 >= bytes.Length || bytes[position + 1] != 0));
            if (isMarker)
            {
                invented += 8;
            }
            else
            {
                value = bytes[position];
                position += value == 0xFF ? 2 : 1;
            }

            buffer = (buffer << 8) | value;
            count += 8;
        }
    }
}

/// <summary>A Huffman code, looked up by its first eight bits and searched by length beyond.</summary>
internal sealed class JpegHuffmanTable
{
    private const int QuickBits = 8;

    private readonly byte[] symbols;
    private readonly short[] quick = new short[1 << QuickBits];
    private readonly int[] limits = new int[17];
    private readonly int[] offsets = new int[17];

    private JpegHuffmanTable(byte[] symbols) => this.symbols = symbols;

    /// <summary>Builds a table, or returns null when the lengths do not form a prefix code.</summary>
    /// <param name="counts">Number of codes of 1 to 16 bits.</param>
    /// <param name="symbols">The symbols, shortest code first.</param>
    public static JpegHuffmanTable? TryBuild(ReadOnlySpan<byte> counts, ReadOnlySpan<byte> symbols)
    {
        var table = new JpegHuffmanTable(symbols.ToArray());
        int code = 0, index = 0;
        for (int length = 1; length <= 16; length++)
        {
            table.offsets[length] = index - code;
            for (int i = 0; i < counts[length - 1]; i++, code++, index++)
            {
                if (code >= 1 << length)
                {
                    return null;
                }

                if (length <= QuickBits)
                {
                    var range = table.quick.AsSpan(code << (QuickBits - length), 1 << (QuickBits - length));
                    range.Fill((short)((length << 8) | symbols[index]));
                }
            }

            // One past the last code of this length, left-justified to 16 bits.
            table.limits[length] = code << (16 - length);
            code <<= 1;
        }

        return table;
    }

    /// <summary>Finds the code that begins the 16 bits.</summary>
    /// <returns>Length 0 when there is none.</returns>
    public (int Symbol, int Length) Find(int bits)
    {
        int entry = quick[bits >> (16 - QuickBits)];
        if (entry != 0)
        {
            return (entry & 0xFF, entry >> 8);
        }

        for (int length = QuickBits + 1; length <= 16; length++)
        {
            if (bits < limits[length])
            {
                int index = (bits >> (16 - length)) + offsets[length];
                return index < symbols.Length ? (symbols[index], length) : default;
            }
        }

        return default;
    }
}
