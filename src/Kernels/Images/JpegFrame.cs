using System.Buffers.Binary;

namespace Diffusion.Gpu.Kernels.Images;

/// <summary>Size, components and planes of a JPEG image.</summary>
internal sealed class JpegFrame
{
    private JpegFrame(int width, int height, bool isProgressive, JpegComponent[] components)
    {
        Width = width;
        Height = height;
        IsProgressive = isProgressive;
        Components = components;
        MaxH = components.Max(component => component.H);
        MaxV = components.Max(component => component.V);
        UnitsWide = Quotient(width, 8 * MaxH);
        UnitsHigh = Quotient(height, 8 * MaxV);
        foreach (var component in components)
        {
            component.Allocate(this);
        }
    }

    /// <summary>Row-major index of the coefficient at each place of the zigzag order.</summary>
    public static ReadOnlySpan<byte> ZigZag =>
    [
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
        35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    ];

    public int Width { get; }

    public int Height { get; }

    public bool IsProgressive { get; }

    public JpegComponent[] Components { get; }

    /// <summary>Largest horizontal sampling factor.</summary>
    public int MaxH { get; }

    /// <summary>Largest vertical sampling factor.</summary>
    public int MaxV { get; }

    /// <summary>Minimum coded units (8 MaxH by 8 MaxV pixels) per row.</summary>
    public int UnitsWide { get; }

    /// <summary>Rows of minimum coded units.</summary>
    public int UnitsHigh { get; }

    public static int Quotient(int dividend, int divisor) => (dividend + divisor - 1) / divisor;

    /// <summary>Reads and checks a frame header.</summary>
    public static JpegFrame Parse(string name, ReadOnlySpan<byte> data, bool isProgressive)
    {
        int count = data.Length > 5 ? data[5] : 0;
        if (count is not (1 or 3 or 4) || data.Length < 6 + (3 * count) || data[0] != 8)
        {
            throw ImageFormatException.Damaged(name, $"the JPEG frame has {count} components of {(data.IsEmpty ? 0 : data[0])} bits, "
                + "1, 3 or 4 of 8 bits are possible");
        }

        int height = BinaryPrimitives.ReadUInt16BigEndian(data[1..]), width = BinaryPrimitives.ReadUInt16BigEndian(data[3..]);
        FileStructure.CheckSize(name, width, height);
        var components = new JpegComponent[count];
        for (int i = 0; i < count; i++)
        {
            var part = data.Slice(6 + (3 * i), 3);
            components[i] = new JpegComponent(part[0], part[1] >> 4, part[1] & 15, part[2]);
        }

        int maxH = components.Max(component => component.H), maxV = components.Max(component => component.V);
        bool valid = components.All(component => component is { H: >= 1 and <= 4, V: >= 1 and <= 4, QuantisationIndex: <= 3 }
            && maxH % component.H == 0 && maxV % component.V == 0);
        return valid && components.DistinctBy(component => component.Id).Count() == count
            ? new JpegFrame(width, height, isProgressive, components)
            : throw ImageFormatException.Damaged(name, "the JPEG sampling factors are malformed or fractional");
    }

    /// <summary>Transforms the coefficients that the scans of a progressive file have gathered.</summary>
    public void FinishProgressive()
    {
        foreach (var component in Components)
        {
            for (int block = 0; block < component.Coefficients.Length / 64; block++)
            {
                var coefficients = component.Coefficients.AsSpan(block * 64, 64);
                component.Transform(coefficients, block % component.BlocksWide, block / component.BlocksWide);
            }
        }
    }
}

/// <summary>One colour plane of a JPEG image.</summary>
/// <param name="id">Number by which scans name it.</param>
/// <param name="h">Horizontal sampling factor.</param>
/// <param name="v">Vertical sampling factor.</param>
/// <param name="quantisationIndex">Its quantisation table.</param>
internal sealed class JpegComponent(int id, int h, int v, int quantisationIndex)
{
    public int Id => id;

    public int H => h;

    public int V => v;

    public int QuantisationIndex => quantisationIndex;

    /// <summary>Real samples per row, without the padding to whole blocks.</summary>
    public int Width { get; private set; }

    /// <summary>Real rows.</summary>
    public int Height { get; private set; }

    /// <summary>Blocks per row of the padded plane.</summary>
    public int BlocksWide { get; private set; }

    /// <summary>[8 x blocks high, 8 x BlocksWide] decoded samples.</summary>
    public byte[] Plane { get; private set; } = [];

    /// <summary>[blocks, 64] coefficients of a progressive file, empty otherwise.</summary>
    public short[] Coefficients { get; private set; } = [];

    /// <summary>Row-major; the table that was in force when the component's first scan began.</summary>
    public int[]? Quantisation { get; set; }

    public JpegHuffmanTable? DcTable { get; set; }

    public JpegHuffmanTable? AcTable { get; set; }

    /// <summary>The DC coefficient of the block before.</summary>
    public int Prediction { get; set; }

    public void Allocate(JpegFrame frame)
    {
        Width = JpegFrame.Quotient(frame.Width * H, frame.MaxH);
        Height = JpegFrame.Quotient(frame.Height * V, frame.MaxV);
        BlocksWide = frame.UnitsWide * H;
        int blocks = checked(BlocksWide * frame.UnitsHigh * V);
        Plane = new byte[checked(blocks * 64)];
        Coefficients = frame.IsProgressive ? new short[blocks * 64] : [];
    }

    /// <summary>Writes one block's samples into the plane.</summary>
    public void Transform(ReadOnlySpan<short> coefficients, int column, int row) =>
        JpegTransform.Invert(coefficients, Quantisation, Plane.AsSpan((row * 64 * BlocksWide) + (column * 8)), 8 * BlocksWide);
}

/// <summary>The coefficients and bits that a progressive scan carries.</summary>
/// <param name="First">First coefficient in zigzag order.</param>
/// <param name="Last">Last coefficient.</param>
/// <param name="High">Bit position of the scan before, 0 in the first one.</param>
/// <param name="Low">Bit position of this scan.</param>
internal readonly record struct JpegBand(int First, int Last, int High, int Low);
