namespace Diffusion.Gpu.Kernels.Images;

/// <summary>Decodes the blocks of one JPEG scan.</summary>
/// <remarks>ITU-T T.81, annex F (sequential) and annex G (progressive).</remarks>
internal sealed class JpegScan(string name, JpegFrame frame, JpegComponent[] components, JpegBand band, JpegBitReader reader)
{
    private readonly short[] scratch = new short[64];
    private int endOfBandRun;

    /// <summary>Decodes every block.</summary>
    /// <param name="restartInterval">Units between restart markers, 0 for none.</param>
    public void Decode(int restartInterval)
    {
        bool needsDc = !frame.IsProgressive || (band.First == 0 && band.High == 0), needsAc = !frame.IsProgressive || band.First > 0;
        if (components.Any(component => (needsDc && component.DcTable is null) || (needsAc && component.AcTable is null)))
        {
            throw ImageFormatException.Damaged(name, "a JPEG Huffman table is missing");
        }

        // A scan of one component holds its real blocks alone; a scan of several holds whole units, padding included.
        bool isSingle = components.Length == 1;
        int wide = isSingle ? JpegFrame.Quotient(components[0].Width, 8) : frame.UnitsWide;
        int high = isSingle ? JpegFrame.Quotient(components[0].Height, 8) : frame.UnitsHigh;
        Reset();
        for (int unit = 0; unit < wide * high; unit++)
        {
            if (restartInterval > 0 && unit > 0 && unit % restartInterval == 0)
            {
                reader.Restart();
                Reset();
            }

            int x = unit % wide, y = unit / wide;
            if (isSingle)
            {
                DecodeBlock(components[0], x, y);
            }
            else
            {
                DecodeUnit(x, y);
            }

            reader.CheckEnd();
        }
    }

    private void Reset()
    {
        endOfBandRun = 0;
        foreach (var component in components)
        {
            component.Prediction = 0;
        }
    }

    private void DecodeUnit(int x, int y)
    {
        foreach (var component in components)
        {
            for (int block = 0; block < component.H * component.V; block++)
            {
                DecodeBlock(component, (x * component.H) + (block % component.H), (y * component.V) + (block / component.H));
            }
        }
    }

    private void DecodeBlock(JpegComponent component, int column, int row)
    {
        if (!frame.IsProgressive)
        {
            Array.Clear(scratch);
            scratch[0] = (short)NextDc(component);
            DecodeSequentialAc(component.AcTable!);
            component.Transform(scratch, column, row);
            return;
        }

        var block = component.Coefficients.AsSpan(((row * component.BlocksWide) + column) * 64, 64);
        if (band.First == 0)
        {
            // The first scan brings the upper bits, every later one a bit more.
            block[0] = band.High == 0
                ? (short)(NextDc(component) << band.Low)
                : (short)(block[0] + (reader.Bits(1) << band.Low));
        }
        else if (band.High == 0)
        {
            DecodeFirstAc(block, component.AcTable!);
        }
        else
        {
            RefineAc(block, component.AcTable!);
        }
    }

    private int NextDc(JpegComponent component)
    {
        int bits = reader.Symbol(component.DcTable!);
        component.Prediction += bits <= 15 ? reader.Signed(bits) : throw Overrun();
        return component.Prediction;
    }

    private void DecodeSequentialAc(JpegHuffmanTable table)
    {
        for (int k = 1; k < 64; k++)
        {
            int symbol = reader.Symbol(table), run = symbol >> 4, bits = symbol & 15;
            if (bits == 0 && run != 15)
            {
                return;
            }

            k += run;
            if (k > 63)
            {
                throw Overrun();
            }

            if (bits > 0)
            {
                scratch[JpegFrame.ZigZag[k]] = (short)reader.Signed(bits);
            }
        }
    }

    private void DecodeFirstAc(Span<short> block, JpegHuffmanTable table)
    {
        if (endOfBandRun > 0)
        {
            endOfBandRun--;
            return;
        }

        for (int k = band.First; k <= band.Last; k++)
        {
            int symbol = reader.Symbol(table), run = symbol >> 4, bits = symbol & 15;
            if (bits == 0 && run != 15)
            {
                endOfBandRun = (1 << run) + reader.Bits(run) - 1;
                return;
            }

            k += run;
            if (k > 63)
            {
                throw Overrun();
            }

            if (bits > 0)
            {
                block[JpegFrame.ZigZag[k]] = (short)(reader.Signed(bits) << band.Low);
            }
        }
    }

    /// <summary>Adds one bit to coefficients that are known to be non-zero, and places new ones between them.</summary>
    private void RefineAc(Span<short> block, JpegHuffmanTable table)
    {
        int k = band.First;
        while (k <= band.Last && endOfBandRun == 0)
        {
            int symbol = reader.Symbol(table), run = symbol >> 4, bits = symbol & 15;
            if (bits == 0 && run != 15)
            {
                endOfBandRun = (1 << run) + reader.Bits(run);
                break;
            }

            int value = bits == 0 ? 0 : reader.Bits(1) == 1 ? 1 << band.Low : -1 << band.Low;
            for (; k <= band.Last; k++)
            {
                ref short coefficient = ref block[JpegFrame.ZigZag[k]];
                if (coefficient != 0)
                {
                    Refine(ref coefficient);
                }
                else if (run-- == 0)
                {
                    coefficient = (short)value;
                    k++;
                    break;
                }
            }
        }

        if (endOfBandRun > 0)
        {
            for (; k <= band.Last; k++)
            {
                ref short coefficient = ref block[JpegFrame.ZigZag[k]];
                if (coefficient != 0)
                {
                    Refine(ref coefficient);
                }
            }

            endOfBandRun--;
        }
    }

    private void Refine(ref short coefficient)
    {
        if (reader.Bits(1) == 1)
        {
            coefficient += (short)(coefficient > 0 ? 1 << band.Low : -1 << band.Low);
        }
    }

    private ImageFormatException Overrun() => ImageFormatException.Damaged(name, "a JPEG block holds too many coefficients");
}
